// Copies what the TypeScript SDK needs of src/protocol into it: the SDK is built and published by
// itself. link/sdks/typescript/tests/generated.test.ts fails when the copies are old.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'

const root = new URL('../', import.meta.url)

/** Copied as they are; the others are made of a table. */
const copied = ['byte-sink.ts', 'json-source.ts', 'socket-binary.ts', 'socket-messages.ts']

/** What must stand in src/generated, by the names of the files. */
export function generatedFiles() {
  const copies = copied.map((name) => [
    name,
    `// Copied from src/protocol/${name} by scripts/link-protocol.js: change it there.\n${sourceOf(name)}`,
  ])
  return new Map([...copies, ['error-codes.ts', errorCodes()]])
}

export function generatedPath(name) {
  return new URL(`link/sdks/typescript/src/generated/${name}`, root)
}

function sourceOf(name) {
  return readFileSync(new URL(`src/protocol/${name}`, root), 'utf8')
}

/** Of the table the client needs the names. */
function errorCodes() {
  const names = sourceOf('error-code.ts').matchAll(/^ {2}(\w+): \{/gmu)
  return `// Made from src/protocol/error-code.ts by scripts/link-protocol.js: change it there.
/** Every code that the server has; its docs/errors.md explains each, and says which to try again. */
export type ErrorCode =
${Array.from(names, ([, name]) => `  | '${name}'`).join('\n')}
`
}

if (process.argv[1]?.endsWith('link-protocol.js')) {
  mkdirSync(generatedPath(''), { recursive: true })
  for (const [name, text] of generatedFiles()) writeFileSync(generatedPath(name), text)
}
