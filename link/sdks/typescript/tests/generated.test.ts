/** What the SDK carries of src/protocol is what stands there. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

interface LinkProtocol {
  generatedFiles(): ReadonlyMap<string, string>
  generatedPath(name: string): URL
}

// A script in JavaScript, whose shape is stated here.
const script = (await import(
  new URL('../../../../scripts/link-protocol.js', import.meta.url).href
)) as LinkProtocol

test.each([...script.generatedFiles()])('%s: run node scripts/link-protocol.js', (name, text) => {
  expect(readFileSync(script.generatedPath(name), 'utf8')).toBe(text)
})
