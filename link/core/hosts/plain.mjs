// A whole host of the client core in plain JavaScript, by ABI.md alone; docs/new-sdk.md walks through it. It needs
// nothing but WebAssembly and WebSocket, so that it runs in browsers as it is; node.mjs runs it in Node.

const eventBytes = 48
const leftOut = 0xffffffff
// prettier-ignore
const kinds = [
  '', 'open', 'send', 'close', 'state', 'welcome', 'result', 'error', 'subscribed', 'rows', 'changes', 'ready', 'reset',
]
const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Compiles the bytes of kalam_core.wasm, once for all clients. */
export async function compileCore(bytes) {
  if (typeof WebAssembly !== 'object') throw new Error('there is no WebAssembly here')
  try {
    // Not `new WebAssembly.Module`: older Chromium refuses modules over 4 KB on a page's main thread.
    const module = await WebAssembly.compile(bytes)
    // WebKit compiles where a policy blocks, and refuses the instance.
    openCore(module)
    return module
  } catch (cause) {
    const help = "a Content-Security-Policy has to allow 'wasm-unsafe-eval'"
    throw new Error(`WebAssembly is blocked or the module is damaged; ${help}`, { cause })
  }
}

/** An instance is one client. */
export function openCore(module) {
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
    if (kind === 'send') event.frame = bytes(4).slice()
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

/** Makes one call, with its inputs. */
export function make(core, { call, at, texts, frame, text, arguments: numbers = [] }) {
  const given = [...numbers]
  if (texts !== undefined) given.unshift(giveTexts(core, texts))
  if (frame !== undefined) given.push(give(core, frame))
  if (text !== undefined) given.push(give(core, encoder.encode(text)))
  return core[call](...given, ...(at === undefined ? [] : [at]))
}

/** Plays a transcript of ../vectors; throws at the first step that tells something else. */
export function replay(module, { steps }) {
  const core = openCore(module)
  for (const step of steps) {
    const frame = step.frame === undefined ? undefined : fromHex(step.frame)
    const gave = make(core, { ...step, frame })
    if (step.gives !== undefined) expectSame(step, gave, step.gives)
    if (step.events !== undefined) expectSame(step, takeEvents(core).map(written), step.events)
    if (step.dueAt !== undefined) expectSame(step, core.dueAt(), step.dueAt ?? Infinity)
  }
}

/** Both have their fields in the same order. */
function expectSame({ call, at }, told, expected) {
  if (told === expected || JSON.stringify(told) === JSON.stringify(expected)) return
  throw new Error(`${call} at ${at} told ${JSON.stringify(told)}, not ${JSON.stringify(expected)}`)
}

/** An event as in transcripts: bytes as hex, without zeros and empty texts. */
export function written(event) {
  const { kind, id, a, b, c, d, frame, ...texts } = event
  const told = { kind, id, a, b, c, d, ...(frame && { frame: toHex(frame) }), ...texts }
  return Object.fromEntries(Object.entries(told).filter(([, value]) => value !== 0 && value !== ''))
}

function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

function fromHex(text) {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16))
}

/**
 * A live session: the same calls, with real sockets and a real clock. `tell` gets every event that is for the app.
 * Gives a function that ends it.
 */
export function live({ module, url, apiKey, sql, tell, WebSocket = globalThis.WebSocket }) {
  const core = openCore(module)
  const sockets = new Map()
  let timer
  const call = (name, step = {}) => {
    const gave = make(core, { call: name, at: performance.now(), ...step })
    for (const event of takeEvents(core)) act(event)
    clearTimeout(timer)
    const waitMs = core.dueAt() - performance.now()
    if (waitMs < Infinity) timer = setTimeout(() => call('tick'), Math.max(0, waitMs))
    return gave
  }
  const act = (event) => {
    if (event.kind === 'open') open(event.a, event.text)
    else if (event.kind === 'send') sockets.get(event.a)?.send(event.frame)
    else if (event.kind === 'close') sockets.get(event.a)?.close(event.b)
    else tell(event)
  }
  const open = (id, address) => {
    const socket = new WebSocket(address, 'kalam.v1.bin')
    socket.binaryType = 'arraybuffer'
    sockets.set(id, socket)
    socket.onopen = () => call('opened', { arguments: [id] })
    socket.onmessage = ({ data }) =>
      call('receive', { arguments: [id], frame: new Uint8Array(data) })
    socket.onclose = ({ code, reason }) => {
      sockets.delete(id)
      call('closed', { arguments: [id, code], text: reason })
    }
    socket.onerror = () => undefined
  }
  core.seed(crypto.getRandomValues(new Uint32Array(1))[0])
  if (call('configure', { texts: [url, apiKey], at: undefined }) === 0) return () => undefined
  call('subscribe', { texts: [sql], arguments: [0] })
  call('connect')
  return () => {
    call('disconnect')
    clearTimeout(timer)
  }
}
