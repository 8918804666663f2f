/**
 * The only door to libpg-query: PostgreSQL 18's own grammar, as WebAssembly. A statement that nests
 * too deeply overflows the stack in the middle of the C code, and an instance that this happened to
 * is not sound any more: after some 45 of them it answered everything with traps (measured with
 * libpg-query 18.1.5). So the module is instantiated here, not by the package's wrapper; an
 * instance that failed is thrown away, and a spare one is always ready.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { ParseResult } from 'libpg-query'
import { DbError } from '../errors.js'

export type ParseOutcome =
  | { readonly kind: 'parsed'; readonly result: ParseResult }
  /** `character`: where, in characters of the text from 0. */
  | { readonly kind: 'refused'; readonly message: string; readonly character: number }
  /** It nests deeper than the parser can follow. */
  | { readonly kind: 'too-deep' }

export interface PostgresParser {
  /** The text must be well-formed and without NUL characters. Errors: UNAVAILABLE. */
  parse(text: string): ParseOutcome
}

/** Compiles the grammar (some 10 ms) and makes the first instances. */
export async function openPostgresParser(): Promise<PostgresParser> {
  const instantiate = loadModule()
  const ready = await Promise.all(Array.from({ length: instancesReady }, instantiate))
  const replace = () => {
    ready.shift()
    void instantiate().then((instance) => ready.push(instance))
  }
  return {
    parse(text) {
      const [instance] = ready
      if (instance === undefined) throw new DbError('UNAVAILABLE', restartingMessage)
      const outcome = parseWith(instance, text)
      if (outcome.kind === 'too-deep' || isBloated(instance)) replace()
      return outcome
    },
  }
}

/** One in use and spares, because a new one takes until the next turn of the event loop. */
const instancesReady = 3

/** Memory of an instance never shrinks; past this it is replaced. It starts with 128 MiB, mostly untouched. */
const instanceBytesMax = 256 * 1024 * 1024

const restartingMessage = 'the SQL parser is starting again after statements that nest too deeply'

/** What we use of the module that emscripten made; names and layout as in libpg-query's wasm/index.js. */
interface ParserInstance {
  readonly HEAPU8: Uint8Array
  getValue(pointer: number, type: 'i32'): number
  UTF8ToString(pointer: number): string
  stringToUTF8(text: string, pointer: number, bytesMax: number): void
  lengthBytesUTF8(text: string): number
  _malloc(bytes: number): number
  _free(pointer: number): void
  _wasm_parse_query_raw(text: number): number
  _wasm_free_parse_result(result: number): void
}

interface InstanceOptions {
  instantiateWasm(
    imports: WebAssembly.Imports,
    receive: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void,
  ): WebAssembly.Exports
}

type CreateInstance = (options: InstanceOptions) => Promise<ParserInstance>

function loadModule(): () => Promise<ParserInstance> {
  const require = createRequire(import.meta.url)
  // The package has no types for this file; the interface above is what its wrapper relies on too,
  // and the version is pinned.
  const createInstance = require('libpg-query/wasm/libpg-query.js') as CreateInstance
  const bytes = readFileSync(require.resolve('libpg-query/wasm/libpg-query.wasm'))
  const module = new WebAssembly.Module(bytes)
  return () =>
    createInstance({
      instantiateWasm(imports, receive) {
        const instance = new WebAssembly.Instance(module, imports)
        receive(instance, module)
        return instance.exports
      },
    })
}

function parseWith(instance: ParserInstance, text: string): ParseOutcome {
  try {
    return readOutcome(instance, text)
  } catch (cause) {
    // RangeError: our stack; WebAssembly.RuntimeError: the instance's own.
    if (cause instanceof RangeError || cause instanceof WebAssembly.RuntimeError) {
      return { kind: 'too-deep' }
    }
    throw cause
  }
}

function readOutcome(instance: ParserInstance, text: string): ParseOutcome {
  const textPointer = copyText(instance, text)
  const result = instance._wasm_parse_query_raw(textPointer)
  try {
    // struct PgQueryParseResult { char *parse_tree; char *stderr_buffer; PgQueryError *error }
    const tree = instance.getValue(result, 'i32')
    const error = instance.getValue(result + 2 * pointerBytes, 'i32')
    return error === 0 ? parsed(instance, tree) : refused(instance, error)
  } finally {
    instance._free(textPointer)
    instance._wasm_free_parse_result(result)
  }
}

const pointerBytes = 4

function copyText(instance: ParserInstance, text: string): number {
  const bytes = instance.lengthBytesUTF8(text) + 1
  const pointer = instance._malloc(bytes)
  if (pointer === 0) throw new RangeError('no memory for the text')
  instance.stringToUTF8(text, pointer, bytes)
  return pointer
}

function parsed(instance: ParserInstance, tree: number): ParseOutcome {
  // JSON made by libpg-query from its own protobuf definition, which the type is generated from.
  const result = JSON.parse(instance.UTF8ToString(tree)) as ParseResult
  return { kind: 'parsed', result }
}

function refused(instance: ParserInstance, error: number): ParseOutcome {
  // struct PgQueryError { char *message, *funcname, *filename; int lineno, cursorpos; … }
  const message = instance.UTF8ToString(instance.getValue(error, 'i32'))
  const cursor = instance.getValue(error + 4 * pointerBytes, 'i32')
  return { kind: 'refused', message, character: Math.max(0, cursor - 1) }
}

function isBloated(instance: ParserInstance): boolean {
  return instance.HEAPU8.length > instanceBytesMax
}
