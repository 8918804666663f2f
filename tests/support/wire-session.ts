/**
 * A client of a WireSession without a socket: messages are made and read by pg-protocol, which
 * node-postgres is made of.
 */
import { serialize } from 'pg-protocol'
import { Parser } from 'pg-protocol/dist/parser.js'
import type { BackendMessage } from 'pg-protocol/dist/messages.js'
import type { Caller } from '#src/database/database.js'
import type { DbError } from '#src/errors.js'
import type { WireClient, WireSession } from '#src/database/wire-session.js'
import type { TestServer } from './server.js'

export type Said = BackendMessage & Readonly<Record<string, unknown>>

export interface TestWire extends AsyncDisposable {
  readonly session: WireSession
  /** Runs messages up to Query, Sync or Flush; all that was said, in order. */
  run(...messages: readonly Uint8Array[]): Promise<readonly Said[]>
  /** Runs a Query. */
  query(sql: string): Promise<readonly Said[]>
  /** Why the session was over by itself. */
  readonly ended: Promise<DbError>
  /** What was said outside of `run`. */
  readonly heard: Said[]
}

export interface WireOptions {
  readonly key?: string
  readonly settings?: Readonly<Record<string, string>>
  readonly processId?: number
  readonly copyData?: WireClient['copyData']
}

export async function openWire(server: TestServer, options: WireOptions = {}): Promise<TestWire> {
  const parser = new Parser()
  const heard: Said[] = []
  let end: (error: DbError) => void = () => undefined
  const ended = new Promise<DbError>((resolve) => (end = resolve))
  const client: WireClient = {
    send: (messages) => {
      // The parser keeps parts of what it is given.
      parser.parse(Buffer.from(messages), (message) => heard.push(message as Said))
    },
    copyData: options.copyData ?? noData,
    end: (error) => end(error),
  }
  const caller: Caller = await server.database.authenticate(options.key ?? server.adminKey)
  const session = await server.database.openWireSession(caller, {
    client,
    settings: new Map(Object.entries(options.settings ?? {})),
    processId: options.processId ?? 1,
  })
  const run: TestWire['run'] = async (...messages) => {
    const before = heard.splice(0)
    await session.run(messages)
    const said = heard.splice(0)
    heard.push(...before)
    return said
  }
  return {
    ...{ session, run, heard },
    ended,
    query: (sql) => run(serialize.query(sql)),
    [Symbol.asyncDispose]: () => session.close(),
  }
}

async function* noData(): AsyncGenerator<Uint8Array> {}

/** The messages in short: their names, with what tells them apart. */
export function inShort(said: readonly Said[]): readonly string[] {
  return said.map((message) => shorten[message.name]?.(message) ?? message.name)
}

const shorten: Readonly<Record<string, (message: Said) => string>> = {
  dataRow: ({ fields }) => `row ${(fields as readonly (string | null)[]).join('|')}`,
  commandComplete: ({ text }) => String(text),
  error: ({ code, message }) => `error ${String(code)}: ${String(message)}`,
  readyForQuery: ({ status }) => `ready ${String(status)}`,
  rowDescription: ({ fields }) =>
    `columns ${(fields as readonly { name: string }[]).map(({ name }) => name).join('|')}`,
}

/** The messages of a statement that is parsed, bound and run, up to `end`. */
export function statement(
  text: string,
  options: {
    readonly name?: string
    readonly values?: readonly unknown[]
    readonly end?: 'sync' | 'flush' | 'none'
  } = {},
): Uint8Array[] {
  const { name = '', values = [], end = 'sync' } = options
  return [
    serialize.parse({ text, name }),
    serialize.bind({ statement: name, values: [...values] }),
    serialize.describe({ type: 'P' }),
    serialize.execute(),
    ...(end === 'none' ? [] : [end === 'sync' ? serialize.sync() : serialize.flush()]),
  ]
}
