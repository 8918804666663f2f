/**
 * Makes PGlite's WebAssembly memory shared, so that another thread can ask the running statement
 * to stop. PGlite compiles for plain memory; plain loads and stores stay valid on shared memory,
 * so only the declared memory import changes (flag 3: shared, with a maximum).
 *
 * Import this only in the worker thread that owns PGlite: it changes that realm's WebAssembly.
 */

/** 2 GiB in 64 KiB pages: what a wasm32 PGlite can address. */
export const memoryPagesMax = 32_768
const memoryPagesInitial = 2_048
const pageBytes = 65_536

const sectionImport = 2
const limitsSharedWithMaximum = 3

/** `bytesMax`: PostgreSQL finds no more than that; at least 128 MiB and at most 2 GiB. */
export function createSharedMemory(bytesMax: number): WebAssembly.Memory {
  return new WebAssembly.Memory({
    initial: memoryPagesInitial,
    maximum: Math.floor(bytesMax / pageBytes),
    shared: true,
  })
}

/**
 * Patches this realm: every module compiled from bytes imports shared memory, and the two web
 * APIs that refuse views on shared memory get copies.
 */
export function shareMemoryOfThisRealm(): void {
  const { Module, compile, instantiate } = WebAssembly
  const isBytes = (source: unknown): source is BufferSource =>
    source instanceof ArrayBuffer || ArrayBuffer.isView(source)

  WebAssembly.Module = new Proxy(Module, {
    construct: (target, [source, ...rest]: [BufferSource, ...unknown[]]) =>
      Reflect.construct(target, [withSharedMemory(source), ...rest]) as WebAssembly.Module,
  })
  WebAssembly.compile = (source, ...rest) =>
    compile.call(WebAssembly, withSharedMemory(source), ...rest)
  WebAssembly.instantiate = ((
    source: BufferSource | WebAssembly.Module,
    imports?: WebAssembly.Imports,
  ) =>
    instantiate.call(
      WebAssembly,
      isBytes(source) ? withSharedMemory(source) : source,
      imports && withoutAlarms(imports),
    )) as typeof WebAssembly.instantiate
  copySharedViewsFor()
}

/**
 * No alarm clock for PostgreSQL. Its deadlines (`idle_in_transaction_session_timeout` and others, which
 * anybody may set) would go off between units, and their FATAL ends the one backend, for everybody.
 * The server has deadlines of its own for each session.
 */
function withoutAlarms(imports: WebAssembly.Imports): WebAssembly.Imports {
  const { env } = imports
  if (env === undefined) return imports
  const get = (target: WebAssembly.ModuleImports, name: string | symbol): unknown =>
    name === '_setitimer_js' ? () => 0 : Reflect.get(target, name)
  return { ...imports, env: new Proxy(env, { get }) }
}

function copySharedViewsFor(): void {
  const prototype = TextDecoder.prototype as {
    decode: (
      this: TextDecoder,
      input?: AllowSharedBufferSource,
      options?: TextDecodeOptions,
    ) => string
  }
  const { decode } = prototype
  prototype.decode = function (input, options) {
    return decode.call(this, unshared(input), options)
  }
  const { crypto } = globalThis
  const fill = crypto.getRandomValues.bind(crypto)
  Object.defineProperty(crypto, 'getRandomValues', {
    value: <T extends Uint8Array<ArrayBuffer>>(view: T): T => {
      if (!((view.buffer as unknown) instanceof SharedArrayBuffer)) return fill(view)
      new Uint8Array(view.buffer, view.byteOffset, view.byteLength).set(
        fill(new Uint8Array(view.byteLength)),
      )
      return view
    },
  })
}

function unshared(input: AllowSharedBufferSource | undefined): AllowSharedBufferSource | undefined {
  if (input instanceof SharedArrayBuffer) return new Uint8Array(input).slice()
  if (ArrayBuffer.isView(input) && input.buffer instanceof SharedArrayBuffer)
    return new Uint8Array(input.buffer, input.byteOffset, input.byteLength).slice()
  return input
}

/** The same module with its imported memory, if it has one, declared shared. */
export function withSharedMemory(source: BufferSource): Uint8Array<ArrayBuffer> {
  const bytes = ArrayBuffer.isView(source)
    ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
    : new Uint8Array(source)
  const magicBytes = 8
  for (let at = magicBytes; at < bytes.length;) {
    const [length, bodyStart] = readLeb(bytes, at + 1)
    if (bytes[at] === sectionImport) {
      const limits = findMemoryLimits(bytes, bodyStart)
      if (limits === undefined) break
      return spliceLimits(bytes, {
        sectionStart: at,
        bodyStart,
        sectionEnd: bodyStart + length,
        ...limits,
      })
    }
    at = bodyStart + length
  }
  return bytes.slice()
}

interface MemoryLimits {
  readonly limitsStart: number
  readonly limitsEnd: number
  readonly minimum: number
}

/** Walks the import section (WebAssembly core spec 5.5.5) to the memory import. */
function findMemoryLimits(bytes: Uint8Array, bodyStart: number): MemoryLimits | undefined {
  let [count, at] = readLeb(bytes, bodyStart)
  for (; count > 0; count--) {
    at = skipName(bytes, skipName(bytes, at))
    const kind = bytes[at++]
    if (kind === 0) at = readLeb(bytes, at)[1]
    else if (kind === 1) at = readLimits(bytes, at + 1)[1]
    else if (kind === 2) {
      const [minimum, limitsEnd] = readLimits(bytes, at)
      return { limitsStart: at, limitsEnd, minimum }
    } else if (kind === 3) at += 2
    else at = readLeb(bytes, at + 1)[1]
  }
  return undefined
}

function spliceLimits(
  bytes: Uint8Array,
  at: MemoryLimits & { sectionStart: number; bodyStart: number; sectionEnd: number },
): Uint8Array<ArrayBuffer> {
  const limits = [limitsSharedWithMaximum, ...leb(at.minimum), ...leb(memoryPagesMax)]
  const bodyBytes = at.sectionEnd - at.bodyStart - (at.limitsEnd - at.limitsStart) + limits.length
  return new Uint8Array(
    Buffer.concat([
      bytes.subarray(0, at.sectionStart + 1),
      Uint8Array.from(leb(bodyBytes)),
      bytes.subarray(at.bodyStart, at.limitsStart),
      Uint8Array.from(limits),
      bytes.subarray(at.limitsEnd),
    ]),
  )
}

function skipName(bytes: Uint8Array, at: number): number {
  const [length, start] = readLeb(bytes, at)
  return start + length
}

function readLimits(bytes: Uint8Array, at: number): [minimum: number, end: number] {
  const hasMaximum = ((bytes[at] ?? 0) & 1) === 1
  const [minimum, afterMinimum] = readLeb(bytes, at + 1)
  return [minimum, hasMaximum ? readLeb(bytes, afterMinimum)[1] : afterMinimum]
}

function readLeb(bytes: Uint8Array, at: number): [value: number, end: number] {
  let value = 0
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++] ?? 0
    value |= (byte & 127) << shift
    if (byte < 128) return [value >>> 0, at]
  }
}

function leb(value: number): number[] {
  const bytes: number[] = []
  for (; value > 127; value >>>= 7) bytes.push((value & 127) | 128)
  return [...bytes, value]
}
