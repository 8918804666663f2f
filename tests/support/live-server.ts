/** A server with users, and what live tests do with it all the time. */
import type { Caller, Database } from '#src/database/database.js'
import type { TestReceiver } from './live.js'
import { watch, type WatchOptions } from './live.js'
import { openTestServer, type TestServer, type TestServerOptions } from './server.js'

export interface LiveServer extends AsyncDisposable {
  readonly server: TestServer
  readonly database: Database
  readonly root: Caller
  /** Runs SQL as this caller, in one request. */
  run(caller: Caller, sql: string): Promise<void>
  watch(caller: Caller, sql: string, options?: WatchOptions): Promise<TestReceiver>
  caller(name: string, role?: 'user' | 'service' | 'admin'): Promise<Caller>
  close(): Promise<void>
}

export async function openLiveServer(options: TestServerOptions = {}): Promise<LiveServer> {
  const server = await openTestServer(options)
  const { database } = server
  const close = () => server.close()
  return {
    ...{ server, database, close },
    root: await database.authenticate(server.adminKey),
    run: async (caller, sql) => {
      const request = { sql, parameters: { single: [], each: undefined }, transaction: false }
      await database.run(caller, request, new AbortController().signal)
    },
    watch: async (caller, sql, watchOptions) => {
      const receiver = await watch(database, caller, sql, watchOptions)
      return receiver.ready()
    },
    caller: async (name, role) => database.authenticate(await server.createUser(name, role)),
    [Symbol.asyncDispose]: close,
  }
}
