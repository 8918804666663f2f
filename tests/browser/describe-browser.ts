import { afterAll, beforeAll, describe } from 'vitest'
import { browserMissing, type Engine } from '../support/browsers/browser.js'
import { openBrowserWorld, type BrowserWorld } from './browser-world.js'

/** Runs cases in a browser, which all of them share; says why where it is missing. */
export function describeBrowser(
  engine: Engine,
  cases: readonly ((world: () => BrowserWorld) => void)[],
): void {
  const missing = browserMissing(engine)
  if (missing !== undefined) console.log(`skipped, ${engine}: ${missing}`)
  describe.skipIf(missing !== undefined)(engine, () => {
    let world: BrowserWorld | undefined
    beforeAll(async () => {
      world = await openBrowserWorld(engine)
    })
    afterAll(() => world?.[Symbol.asyncDispose]())
    const opened = () => {
      if (world === undefined) throw new Error('assertion failed: tests come after beforeAll')
      return world
    }
    for (const suite of cases) suite(opened)
  })
}
