import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { coreFolder, CoreHost, type CoreEvent } from './core-host.js'
import { scenarios, type Call } from './scenarios.js'

const folder = join(coreFolder, 'vectors')
const isRecording = process.env['KALAM_RECORD'] === '1'

/** A call as it stands in a file, with what it gives and tells. */
interface Step {
  readonly call: string
  readonly gives?: number
  readonly events?: readonly object[]
  /** null: nothing is due. */
  readonly dueAt: number | null
}

describe('E4: the transcripts', () => {
  test.each(Object.entries(scenarios))('%s', (name, calls) => {
    const host = new CoreHost()
    const steps = calls.map((call) => play(host, call))
    const path = join(folder, `${name}.json`)
    if (isRecording) writeFileSync(path, fileOf(steps))
    expect(steps).toEqual((JSON.parse(readFileSync(path, 'utf8')) as { steps: unknown }).steps)
  })

  test('there are no others', () => {
    const files = Object.keys(scenarios).map((name) => `${name}.json`)
    expect(readdirSync(folder).sort()).toEqual(files.sort())
  })

  test('E1: a host in plain JavaScript plays them', () => {
    const output = execFileSync(process.execPath, [join(coreFolder, 'hosts', 'node.mjs')])
    expect(output.toString().match(/^ok /gmu)).toHaveLength(Object.keys(scenarios).length)
  })

  test('E1: … and says where one goes otherwise', async () => {
    const path = pathToFileURL(join(coreFolder, 'hosts', 'plain.mjs')).href
    // Plain JavaScript has no types.
    const { replay } = (await import(path)) as {
      readonly replay: (module: WebAssembly.Module, transcript: object) => void
    }
    const text = readFileSync(join(folder, 'snapshot-and-changes.json'), 'utf8')
    const played = (transcript: string) => () =>
      replay(CoreHost.module, JSON.parse(transcript) as object)
    expect(played(text)).not.toThrow()
    expect(played(text.replace('"kind":"ready"', '"kind":"rows"'))).toThrow(/^receive at \d+ told/u)
    expect(played(text.replace(/"dueAt":\d+/u, '"dueAt":1'))).toThrow(/ told \d+, not 1$/u)
  })
})

function play(host: CoreHost, call: Call): Step {
  const { core } = host
  const given = [...(call.arguments ?? [])]
  if (call.texts !== undefined) given.unshift(host.giveTexts(call.texts))
  if (call.frame !== undefined) given.push(host.give(call.frame))
  if (call.text !== undefined) given.push(host.give(Buffer.from(call.text)))
  if (call.at !== undefined) given.push(call.at)
  // The scenarios name exports and give what ABI.md says they take.
  const exported = core as unknown as Readonly<
    Record<string, (...numbers: number[]) => number | undefined>
  >
  const gave = exported[call.call]?.(...given)
  const due = core.dueAt()
  return {
    ...call,
    ...(call.frame === undefined ? {} : { frame: Buffer.from(call.frame).toString('hex') }),
    ...(call.texts === undefined ? {} : { texts: call.texts.map((text) => text ?? null) }),
    ...(gave === undefined ? {} : { gives: gave }),
    ...(tellsNothing.has(call.call) ? {} : { events: host.take().map(written) }),
    dueAt: due === Infinity ? null : due,
  }
}

/** These leave what the call before had to tell. */
const tellsNothing: ReadonlySet<string> = new Set(['seed', 'setting', 'rowCount'])

/** As in the files: zeros and empty texts are left out. */
function written({ kind, id, words, text, bytes, more, differences, cursor }: CoreEvent): object {
  const [a, b, c, d] = words
  const told = {
    ...{ kind, id, a, b, c, d },
    ...(kind === 'send' ? { frame: Buffer.from(bytes).toString('hex') } : { text }),
    ...(kind === 'changes' ? { differences } : { more }),
    cursor,
  }
  return Object.fromEntries(Object.entries(told).filter(([, value]) => value !== 0 && value !== ''))
}

/** One line a call and one an event, to be read. */
function fileOf(steps: readonly Step[]): string {
  const lines = steps.map(({ events, ...rest }) => {
    const head = JSON.stringify(rest)
    if (events === undefined) return head
    const told = events.map((event) => `\n  ${JSON.stringify(event)}`).join(',')
    return `${head.slice(0, -1)},"events":[${told}]}`
  })
  return `{"steps":[\n${lines.join(',\n')}\n]}\n`
}
