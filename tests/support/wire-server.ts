/** A server with the Postgres wire on, as clients of PostgreSQL find it. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { Client } from 'pg'
import { openTestServer, type TestServer, type TestServerOptions } from './server.js'

/** What any client needs to connect, and as whom it does. */
export interface WireLogin {
  readonly host: string
  readonly port: number
  readonly user: string
  /** An API key. */
  readonly password: string
  readonly database: string
}

export interface WireServer extends WireLogin {
  readonly server: TestServer
  /** For programs on libpq. */
  readonly env: Readonly<Record<string, string>>
  /** Makes a user and answers their login. */
  createUser(name: string): Promise<WireLogin>
  /** Runs SQL over the wire, as root. */
  sql(text: string): Promise<void>
  /** The rows of one statement, as root. */
  rows(text: string): Promise<readonly unknown[]>
  close(): Promise<void>
}

/** `login` as the variables that libpq reads. */
export function libpqEnv({ host, port, user, password, database }: WireLogin): WireServer['env'] {
  return {
    ...{ PGHOST: host, PGPORT: String(port), PGDATABASE: database },
    ...{ PGUSER: user, PGPASSWORD: password },
  }
}

export async function openWireServer(options: TestServerOptions = {}): Promise<WireServer> {
  const server = await openTestServer({
    ...options,
    settings: {
      'postgres_wire.enabled': true,
      ...options.settings,
    },
  })
  const at = { host: '127.0.0.1', port: server.wirePort, database: 'kalamdb' }
  const login = { ...at, user: 'root', password: server.adminKey }
  const root = new Client(login)
  await root.connect()
  return {
    ...{ ...login, server, env: libpqEnv(login) },
    createUser: async (name) => ({ ...at, user: name, password: await server.createUser(name) }),
    sql: async (text) => {
      await root.query(text)
    },
    rows: async (text) => (await root.query<object>(text)).rows,
    close: async () => {
      await root.end()
      await server.close()
    },
  }
}

const knockDeadlineMs = 10_000

/** A round trip to the door: what was sent before on other connections has arrived by then. */
export async function knock({ host, port }: Pick<WireLogin, 'host' | 'port'>): Promise<void> {
  const socket = connect(port, host)
  // SSLRequest, answered by one byte.
  socket.write(Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]))
  await once(socket, 'data', { signal: AbortSignal.timeout(knockDeadlineMs) })
  socket.destroy()
}
