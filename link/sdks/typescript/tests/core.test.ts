/** E1: the SDK's own host of the core plays every transcript, as docs/new-sdk.md asks of all hosts. */
import { build } from 'esbuild'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

interface Step {
  readonly call: string
  readonly at?: number
  readonly texts?: readonly (string | null)[]
  readonly frame?: string
  readonly text?: string
  readonly arguments?: readonly number[]
  readonly gives?: number
  readonly events?: readonly Readonly<Record<string, unknown>>[]
  readonly dueAt?: number | null
}

interface Core {
  readonly exports: Record<string, ((...numbers: number[]) => number) | undefined>
  give(bytes: Uint8Array): number
  giveText(text: string): number
  giveTexts(texts: readonly (string | undefined)[]): number
  take(): readonly CoreEvent[]
}

interface CoreEvent {
  readonly frame: Uint8Array
  readonly differences: Int32Array
  readonly [name: string]: unknown
}

const folder = fileURLToPath(new URL('../../../core/vectors/', import.meta.url))
const module = new WebAssembly.Module(
  readFileSync(new URL('../dist/kalam_core.wasm', import.meta.url)),
)
const { Core: CoreClass } = await hostOfCore()

/** It is inside the package, where nobody but its connection gets at it. */
async function hostOfCore() {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('../src/core.ts', import.meta.url))],
    ...{ bundle: true, write: false, format: 'esm' },
  })
  const source = Buffer.from(outputFiles[0]?.contents ?? []).toString('base64')
  // It exports the class, by the name that stands in the source.
  return (await import(`data:text/javascript;base64,${source}`)) as {
    readonly Core: new (instance: WebAssembly.Instance) => Core
  }
}

test.each(readdirSync(folder).filter((name) => name.endsWith('.json')))('%s', (name) => {
  const { steps } = JSON.parse(readFileSync(`${folder}${name}`, 'utf8')) as { steps: Step[] }
  const core = new CoreClass(new WebAssembly.Instance(module, {}))
  for (const step of steps) {
    const gave = play(core, step)
    if (step.gives !== undefined) expect(gave).toBe(step.gives)
    if (step.events !== undefined)
      expect(core.take().map(written)).toEqual(step.events.map(withoutD))
    if (step.dueAt !== undefined) expect(core.exports['dueAt']?.()).toBe(step.dueAt ?? Infinity)
  }
})

function play(core: Core, { call, at, texts, frame, text, arguments: numbers = [] }: Step) {
  const given = [...numbers]
  if (texts !== undefined) given.unshift(core.giveTexts(texts.map((each) => each ?? undefined)))
  if (frame !== undefined) given.push(core.give(Buffer.from(frame, 'hex')))
  if (text !== undefined) given.push(core.giveText(text))
  return core.exports[call]?.(...given, ...(at === undefined ? [] : [at]))
}

/** Whether there was ever a connection: a client outlives cores, and keeps that itself. */
function withoutD(event: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(event).filter(([name]) => name !== 'd'))
}

/** As transcripts have it: zeros and empty texts are left out, bytes are hexadecimal. */
function written({ frame, differences, ...rest }: CoreEvent): Record<string, unknown> {
  const triples = Array.from({ length: differences.length / 3 }, (_, at) => [
    ...differences.subarray(at * 3, at * 3 + 3),
  ])
  const all: Record<string, unknown> = {
    ...rest,
    frame: Buffer.from(frame).toString('hex'),
    ...(rest['kind'] === 'changes' ? { differences: triples } : {}),
  }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== 0 && value !== ''))
}
