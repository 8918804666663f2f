/** Where SQL comes from when nobody types it: `-c`, `-f`, standard input. */
import { createReadStream } from 'node:fs'
import { StatementSplitter, type FoundStatement } from '../../src/protocol/sql-text.js'
import { CliError } from './exit-code.js'
import type { Surroundings } from './surroundings.js'

export type SqlInput =
  | { readonly kind: 'text'; readonly sql: string }
  | { readonly kind: 'file'; readonly path: string }
  /** What stands behind `\\copy`. */
  | { readonly kind: 'copy'; readonly argument: string }

/** The name that errors show; text from the command line has none. */
export function sourceName(input: SqlInput): string | undefined {
  if (input.kind !== 'file') return undefined
  return input.path === '-' ? 'stdin' : input.path
}

/** The input's statements, one by one, however large it is. Throws CliError `fileFailed`. */
export async function* statementsOf(
  input: Exclude<SqlInput, { kind: 'copy' }>,
  stdin: Surroundings['stdin'],
): AsyncGenerator<FoundStatement> {
  const splitter = new StatementSplitter()
  for await (const piece of textOf(input, stdin)) yield* splitter.push(piece)
  yield* splitter.end()
}

async function* textOf(
  input: Parameters<typeof statementsOf>[0],
  stdin: Surroundings['stdin'],
): AsyncGenerator<string> {
  if (input.kind === 'text') {
    yield input.sql
    return
  }
  const decoder = new TextDecoder('utf-8', { fatal: true })
  try {
    for await (const bytes of input.path === '-' ? stdin : createReadStream(input.path)) {
      // Both streams have no encoding set, so that they give bytes.
      yield decoder.decode(bytes as Uint8Array, { stream: true })
    }
    yield decoder.decode()
  } catch (cause) {
    throw fileFailure('read', sourceName(input) ?? '', cause)
  }
}

/** Why a file cannot be read or written. */
export function fileFailure(what: 'read' | 'write', name: string, cause: unknown): CliError {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  const reasons: Record<string, string> = {
    ENOENT: 'there is no such file',
    EISDIR: 'it is a folder',
    EACCES: `you may not ${what} it`,
    ERR_ENCODING_INVALID_ENCODED_DATA:
      'it is not UTF-8 text; convert it first, for example with iconv',
  }
  const reason = reasons[String(code)] ?? (cause instanceof Error ? cause.message : String(cause))
  return new CliError('fileFailed', `cannot ${what} ${name}: ${reason}`, { cause })
}
