/** A3 on plain tables, with row security that an admin wrote. */
import { testEscapes } from './escape-suite.js'

testEscapes('plain')
