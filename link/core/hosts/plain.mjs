// A whole host of the client core in plain JavaScript, by ABI.md alone; docs/new-sdk.md walks through it.
//
//   node plain.mjs                      replays the transcripts in ../vectors
//   node plain.mjs URL API_KEY SQL      runs a live query and prints what it tells, until Ctrl-C
import { readFileSync, readdirSync } from 'node:fs'
import { deepStrictEqual } from 'node:assert'
import { fileURLToPath } from 'node:url'

const eventBytes = 48
const leftOut = 0xffffffff
// prettier-ignore
const kinds = [
  '', 'open', 'send', 'close', 'state', 'welcome', 'result', 'error', 'subscribed', 'rows', 'changes', 'ready', 'reset',
]
const encoder = new TextEncoder()
const decoder = new TextDecoder()
const module = new WebAssembly.Module(readFileSync(new URL('../kalam_core.wasm', import.meta.url)))

/** An instance is one client. */
export function openCore() {
  return new WebAssembly.Instance(module, {}).exports
}

/** Puts bytes into the core's input, and gives their length. */
export function give(core, bytes) {
  const at = core.inputRoom(bytes.length)
  new Uint8Array(core.memory.buffer).set(bytes, at)
  return bytes.length
}

/** Texts one after the other, each behind its length in four bytes; null is left out. */
export function giveTexts(core, texts) {
  const blocks = texts.map((text) => (text === null ? undefined : encoder.encode(text)))
  const length = blocks.reduce((sum, block) => sum + 4 + (block?.length ?? 0), 0)
  const bytes = new Uint8Array(length)
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const block of blocks) {
    view.setUint32(at, block?.length ?? leftOut, true)
    if (block !== undefined) bytes.set(block, at + 4)
    at += 4 + (block?.length ?? 0)
  }
  return give(core, bytes)
}

/** What the last call has to tell: copied, for the next call takes it back. */
export function takeEvents(core) {
  const view = new DataView(core.memory.buffer)
  return Array.from({ length: core.eventCount() }, (_, index) => {
    const at = core.events() + index * eventBytes
    const word = (number) => view.getUint32(at + number * 4, true)
    const bytes = (number) => new Uint8Array(core.memory.buffer, word(number), word(number + 1))
    const kind = kinds[word(0)]
    const event = { kind, id: word(1), a: word(2), b: word(3), c: word(10), d: word(11) }
    if (kind === 'send') event.frame = Buffer.from(bytes(4)).toString('hex')
    else event.text = decoder.decode(bytes(4))
    if (kind === 'changes') event.differences = differences(view, word(6), event.a)
    else event.more = decoder.decode(bytes(6))
    event.cursor = decoder.decode(bytes(8))
    return event
  })
}

/** Operation (1 insert, 2 update, 3 delete), from, to: apply them to an array one after the other. */
function differences(view, at, count) {
  const number = (index) => view.getInt32(at + index * 4, true)
  return Array.from({ length: count }, (_, index) => [0, 1, 2].map((n) => number(index * 3 + n)))
}

/** One step of a transcript: a call with its inputs. */
export function play(core, { call, at, texts, frame, text, arguments: numbers = [] }) {
  const given = [...numbers]
  if (texts !== undefined) given.unshift(giveTexts(core, texts))
  if (frame !== undefined) given.push(give(core, Buffer.from(frame, 'hex')))
  if (text !== undefined) given.push(give(core, encoder.encode(text)))
  return core[call](...given, ...(at === undefined ? [] : [at]))
}

/** Zeros and empty texts are left out of transcripts. */
function written(event) {
  return Object.fromEntries(
    Object.entries(event).filter(([, value]) => value !== 0 && value !== ''),
  )
}

function replay({ steps }) {
  const core = openCore()
  for (const step of steps) {
    const gave = play(core, step)
    if (step.gives !== undefined) deepStrictEqual(gave, step.gives)
    if (step.events !== undefined) deepStrictEqual(takeEvents(core).map(written), step.events)
    if (step.dueAt !== undefined) deepStrictEqual(core.dueAt(), step.dueAt ?? Infinity)
  }
}

function replayAll() {
  const folder = new URL('../vectors/', import.meta.url)
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.json'))) {
    replay(JSON.parse(readFileSync(new URL(name, folder), 'utf8')))
    console.log(`ok ${name}`)
  }
}

/** A live session: the same calls, with a real socket and a real clock. */
async function live(url, apiKey, sql) {
  const WebSocket = globalThis.WebSocket ?? (await import('ws')).WebSocket
  const core = openCore()
  const sockets = new Map()
  let timer
  const call = (name, step = {}) => {
    const gave = play(core, { call: name, at: performance.now(), ...step })
    for (const event of takeEvents(core)) act(event)
    clearTimeout(timer)
    const waitMs = core.dueAt() - performance.now()
    if (waitMs < Infinity) timer = setTimeout(() => call('tick'), Math.max(0, waitMs))
    return gave
  }
  const act = (event) => {
    if (event.kind === 'open') open(event.a, event.text)
    else if (event.kind === 'send') sockets.get(event.a)?.send(Buffer.from(event.frame, 'hex'))
    else if (event.kind === 'close') sockets.get(event.a)?.close(event.b)
    else console.log(JSON.stringify(written(event)))
  }
  const open = (id, address) => {
    const socket = new WebSocket(address, 'kalam.v1.bin')
    socket.binaryType = 'arraybuffer'
    sockets.set(id, socket)
    socket.onopen = () => call('opened', { arguments: [id] })
    socket.onmessage = ({ data }) =>
      call('receive', { arguments: [id], frame: Buffer.from(data).toString('hex') })
    socket.onclose = ({ code, reason }) => {
      sockets.delete(id)
      call('closed', { arguments: [id, code], text: reason })
    }
    socket.onerror = () => undefined
  }
  core.seed(crypto.getRandomValues(new Uint32Array(1))[0])
  if (call('configure', { texts: [url, apiKey], at: undefined }) === 0) return
  call('subscribe', { texts: [sql], arguments: [0] })
  call('connect')
  process.once('SIGINT', () => {
    call('disconnect')
    clearTimeout(timer)
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [url, apiKey, sql] = process.argv.slice(2)
  if (url === undefined) replayAll()
  else await live(url, apiKey ?? '', sql ?? '')
}
