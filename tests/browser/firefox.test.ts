import { coreCases } from './core-cases.js'
import { describeBrowser } from './describe-browser.js'
import { sdkCases } from './sdk-cases.js'

describeBrowser('firefox', [coreCases, sdkCases({ isWhole: false })])
