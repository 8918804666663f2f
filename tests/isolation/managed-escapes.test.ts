/** A3, A4, B2, B3: the same attempts, and more, on USER and SHARED tables. */
import { testEscapes } from './escape-suite.js'

testEscapes('managed')
