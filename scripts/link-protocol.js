// Copies what the TypeScript SDK needs of src/protocol into it: the SDK is built and published by
// itself. tests/unit/link/generated.test.ts fails when the copies are old.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'

/** Of src/protocol. */
export const sharedFiles = [
  'byte-sink.ts',
  'error-code.ts',
  'json-source.ts',
  'socket-json.ts',
  'socket-messages.ts',
]

const root = new URL('../', import.meta.url)

/** What the copy of a file must hold. */
export function copyOf(name) {
  const source = readFileSync(new URL(`src/protocol/${name}`, root), 'utf8')
  return `// Copied from src/protocol/${name} by scripts/link-protocol.js: change it there.\n${source}`
}

export function copyPath(name) {
  return new URL(`link/sdks/typescript/src/generated/${name}`, root)
}

if (process.argv[1]?.endsWith('link-protocol.js')) {
  mkdirSync(copyPath(''), { recursive: true })
  for (const name of sharedFiles) writeFileSync(copyPath(name), copyOf(name))
}
