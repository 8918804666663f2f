import { coreCases } from './core-cases.js'
import { describeBrowser } from './describe-browser.js'

describeBrowser('webkit', [coreCases])
