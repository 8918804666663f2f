/** The door of the Postgres wire (ADR 0016). */
import { createServer, type Server } from 'node:net'
import type { Adapter, AdapterParts, OpenAdapter } from '../../src/database/adapter.js'
import { DbError } from '../../src/errors.js'
import { databaseName } from '../../src/protocol/database-name.js'
import { readServerCertificate } from './server-certificate.js'
import { WireDoor } from './wire-door.js'

/** Connections that the kernel keeps until they are taken in; it may keep fewer. */
const backlog = 1_024
/** Time for those that were cancelled to say so. */
const farewellMs = 500

/** Listens at `postgres_wire.host` and `port`. Errors: CONFIG_INVALID. */
export const openPostgres: Adapter = async (parts) => {
  const { config, log } = parts
  if (!config.postgres_wire.enabled) return undefined
  const certificate = readServerCertificate(config)
  const door = new WireDoor(parts, certificate)
  const server = createServer({ pauseOnConnect: true }, (socket) => door.accept(socket))
  const host = config.postgres_wire.host === '' ? config.server.host : config.postgres_wire.host
  const port = await listen(server, { host, port: config.postgres_wire.port })
  // Out of descriptors, as a rule: those that are open go on.
  server.on('error', (error) => log.warn('the Postgres wire could not take a client in', { error }))
  log.info('listening for PostgreSQL clients', { host, port })
  let closing: Promise<void> | undefined
  return {
    address: addressOf({ host, port, hasTls: certificate !== undefined }),
    close: () => (closing ??= close(parts, door, server)),
  } satisfies OpenAdapter
}

function listen(
  server: Server,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<number> {
  return new Promise((resolve, reject) => {
    const fail = (cause: Error) => reject(cannotListen(`${host}:${port}`, cause))
    server.once('error', fail)
    server.listen({ host, port, backlog }, () => {
      server.off('error', fail)
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}

function cannotListen(address: string, cause: Error): DbError {
  return new DbError(
    'CONFIG_INVALID',
    `postgres_wire.host, postgres_wire.port: cannot listen on ${address}: ${cause.message}`,
    {},
    { cause },
  )
}

function addressOf(place: {
  readonly host: string
  readonly port: number
  readonly hasTls: boolean
}): string {
  const host = place.host.includes(':') ? `[${place.host}]` : place.host
  const query = place.hasTls ? '?sslmode=require' : ''
  return `postgres://${host}:${place.port}/${databaseName}${query}`
}

async function close({ config }: AdapterParts, door: WireDoor, server: Server): Promise<void> {
  server.close()
  door.stop()
  await door.emptied(config.server.shutdown_timeout_ms)
  door.cancel()
  await door.emptied(farewellMs)
  door.end()
  await door.emptied(farewellMs)
  door.destroy()
}
