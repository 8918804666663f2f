/** What the SDK carries of src/protocol is what stands there. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

interface LinkProtocol {
  readonly sharedFiles: readonly string[]
  copyOf(name: string): string
  copyPath(name: string): URL
}

// A script in JavaScript, whose shape is stated here.
const script = (await import(
  new URL('../../../scripts/link-protocol.js', import.meta.url).href
)) as LinkProtocol

test.each(script.sharedFiles)('%s: run node scripts/link-protocol.js', (name) => {
  expect(readFileSync(script.copyPath(name), 'utf8')).toBe(script.copyOf(name))
})
