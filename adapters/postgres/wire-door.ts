/**
 * All connections of the Postgres wire: takes them in, ends those that are too many, lets each
 * cancel what another runs, and ends all when the server stops.
 */
import { randomBytes, randomInt, timingSafeEqual } from 'node:crypto'
import type { Socket } from 'node:net'
import type { AdapterParts } from '../../src/database/adapter.js'
import { Emptiness } from '../../src/database/emptiness.js'
import { errorMessage } from '../../src/database/wire/server-messages.js'
import { DbError } from '../../src/errors.js'
import { Conversation, stopped } from './conversation.js'
import { logIn, type Arrival } from './log-in.js'
import type { ServerCertificate } from './server-certificate.js'
import { greeting } from './server-messages.js'
import type { WireSession } from '../../src/database/wire-session.js'
import { WireSocket } from './wire-socket.js'

type Login = Extract<Arrival, { readonly kind: 'login' }>

/** What a CancelRequest must name. */
interface Cancellable {
  readonly secret: Uint8Array
  readonly conversation: Conversation
}

export class WireDoor {
  readonly #parts: AdapterParts
  readonly #certificate: ServerCertificate | undefined
  /** Not logged in yet, oldest first. */
  readonly #starting = new Set<WireSocket>()
  /** By process id. */
  readonly #open = new Map<number, Cancellable>()
  readonly #sockets = new Set<WireSocket>()
  #isStopping = false
  readonly #emptiness = new Emptiness(() => this.#open.size + this.#starting.size === 0)

  constructor(parts: AdapterParts, certificate: ServerCertificate | undefined) {
    this.#parts = parts
    this.#certificate = certificate
    parts.metrics.watchWire(() => ({
      open: this.#open.size,
      starting: this.#starting.size,
      bufferedBytes: [...this.#sockets].reduce((sum, { bufferedBytes }) => sum + bufferedBytes, 0),
    }))
  }

  accept(connection: Socket): void {
    const { config, metrics } = this.#parts
    const wire = config.postgres_wire
    const socket = new WireSocket(connection, {
      bufferedBytesMax: wire.buffered_bytes_max,
      sendTimeoutMs: wire.send_timeout_ms,
      keepAliveMs: wire.keepalive_ms,
      onBytes: (direction, bytes) => metrics.wireBytes(direction, bytes),
    })
    metrics.wireOpened()
    const [oldest] = this.#starting
    if (oldest !== undefined && this.#starting.size >= wire.startups_max)
      this.#expel(oldest, tooManyStartups())
    void this.#serve(socket)
    if (this.#isStopping) this.#expel(socket, stopping())
  }

  /** No more logins; each connection ends when nothing runs on it. */
  stop(): void {
    this.#isStopping = true
    for (const socket of [...this.#starting]) this.#expel(socket, stopping())
    for (const { conversation } of [...this.#open.values()]) conversation.stop()
  }

  /** Cancels what runs. */
  cancel(): void {
    for (const { conversation } of this.#open.values()) conversation.cancel()
  }

  /** Ends those that are left. */
  end(): void {
    for (const { conversation } of [...this.#open.values()]) conversation.end(stopped())
  }

  destroy(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Resolves when all have ended, or after `timeoutMs`. */
  emptied(timeoutMs: number): Promise<void> {
    return this.#emptiness.reached(timeoutMs)
  }

  async #serve(socket: WireSocket): Promise<void> {
    const { startup_timeout_ms: timeoutMs } = this.#parts.config.postgres_wire
    const timer = setTimeout(() => this.#expel(socket, notLoggedIn(timeoutMs)), timeoutMs)
    this.#starting.add(socket)
    this.#sockets.add(socket)
    socket.onGone = () => this.#sockets.delete(socket)
    const end = new KeyEnd()
    try {
      const arrival = await logIn({
        ...{ socket, certificate: this.#certificate, random: randomBytes, onEnd: end.tell },
        database: this.#parts.database,
        tlsRequired: this.#parts.config.postgres_wire.tls_required,
        onWrongProof: () => this.#parts.metrics.authenticationFailed('unknown'),
      })
      if (arrival.kind === 'cancel') this.#cancelOne(arrival, socket)
      else await this.#enter(arrival, socket, end)
    } catch (thrown) {
      this.#refuse(socket, this.#errorOf(thrown))
    } finally {
      clearTimeout(timer)
      this.#starting.delete(socket)
      this.#emptiness.check()
    }
  }

  #cancelOne(
    { processId, secret }: Extract<Arrival, { kind: 'cancel' }>,
    socket: WireSocket,
  ): void {
    const target = this.#open.get(processId)
    if (target !== undefined && isEqual(secret, target.secret)) target.conversation.cancel()
    // Clients wait for the end of this connection: what they meant is cancelled then.
    socket.end()
    this.#parts.metrics.wireEnded('CANCEL')
  }

  async #enter(login: Login, socket: WireSocket, end: KeyEnd): Promise<void> {
    const { presence, request, minor } = login
    const processId = this.#newProcessId()
    const secret = randomBytes(minor < longSecretMinor ? secretBytes : longSecretBytes)
    const conversation = this.#conversation(login, socket, processId)
    try {
      this.#checkRoom()
      this.#open.set(processId, { secret, conversation })
      const session = await this.#parts.database.openWireSession(presence.caller, {
        ...{ settings: request.settings, client: conversation, processId },
      })
      await this.#greet(socket, session, { processId, secret })
      conversation.open(session)
    } catch (thrown) {
      this.#open.delete(processId)
      presence.leave()
      throw thrown
    }
    this.#logOpened(login, socket, processId)
    end.listen((error) => conversation.end(terminated(error)))
    if (this.#isStopping) conversation.stop()
  }

  async #greet(
    socket: WireSocket,
    session: WireSession,
    key: { readonly processId: number; readonly secret: Uint8Array },
  ): Promise<void> {
    try {
      await socket.send(greeting({ ...key, parameters: session.parameters }))
    } catch (cause) {
      await session.close()
      throw cause
    }
  }

  #conversation({ presence }: Login, socket: WireSocket, processId: number): Conversation {
    const { config, log, metrics } = this.#parts
    const wire = config.postgres_wire
    return new Conversation({
      ...{ socket, presence, log, metrics },
      messageBound: {
        bytesMax: wire.message_bytes_max,
        name: 'postgres_wire.message_bytes_max',
      },
      unitBytesMax: wire.unit_bytes_max,
      aheadBytesMax: wire.ahead_bytes_max,
      onEnded: () => {
        this.#open.delete(processId)
        this.#sockets.delete(socket)
        log.debug('a client of the Postgres wire has left', { process: processId })
        this.#emptiness.check()
      },
    })
  }

  #checkRoom(): void {
    const { connections_max: max } = this.#parts.config.postgres_wire
    if (this.#open.size < max) return
    throw new DbError('OVERLOADED', 'sorry, too many clients already', {
      hint: `postgres_wire.connections_max is ${max}.`,
    })
  }

  /** Positive, as those of processes are. */
  #newProcessId(): number {
    for (;;) {
      const id = randomInt(1, 2 ** 31)
      if (!this.#open.has(id)) return id
    }
  }

  /** Makes room at once; the login fails with that error as soon as it goes on. */
  #expel(socket: WireSocket, error: DbError): void {
    this.#starting.delete(socket)
    socket.abort(error)
  }

  #refuse(socket: WireSocket, error: DbError): void {
    const { log, metrics } = this.#parts
    metrics.wireEnded(error.code === 'CANCELLED' ? 'CLOSED' : error.code)
    log.debug('a client of the Postgres wire was refused', {
      ...{ from: socket.remote, code: error.code, reason: error.message },
    })
    socket.end(errorMessage(error, 'FATAL'))
  }

  #errorOf(thrown: unknown): DbError {
    if (thrown instanceof DbError) return thrown
    this.#parts.log.error('internal error in a login of the Postgres wire', { error: thrown })
    return new DbError('INTERNAL', 'internal error', {}, { cause: thrown })
  }

  #logOpened({ presence, request }: Login, socket: WireSocket, processId: number): void {
    this.#parts.log.debug('a client of the Postgres wire has come', {
      ...{ from: socket.remote, user: presence.caller.name, process: processId },
      ...{ application: request.settings.get('application_name'), tls: socket.isSecure },
    })
  }
}

/** Bytes of the secret that a CancelRequest must bring; many from protocol 3.2 on. */
const secretBytes = 4
const longSecretBytes = 32
const longSecretMinor = 2

/** The end of a key, which may come before there is anybody to tell. */
class KeyEnd {
  #error: DbError | undefined
  #listener: ((error: DbError) => void) | undefined

  readonly tell = (error: DbError): void => {
    this.#error = error
    this.#listener?.(error)
  }

  listen(listener: (error: DbError) => void): void {
    this.#listener = listener
    if (this.#error !== undefined) listener(this.#error)
  }
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}

/** Drivers take 57P01 for the end of the connection, and connect anew. */
function terminated(error: DbError): DbError {
  return new DbError(error.code, `terminating connection: ${error.message}`, {
    ...{ ...error.fields, sqlState: '57P01' },
  })
}

function stopping(): DbError {
  return new DbError('UNAVAILABLE', 'the database system is shutting down')
}

function tooManyStartups(): DbError {
  return new DbError('OVERLOADED', 'too many connections that are not logged in', {
    hint: 'Log in faster, or raise postgres_wire.startups_max.',
  })
}

function notLoggedIn(timeoutMs: number): DbError {
  return new DbError('SOCKET_TIMEOUT', `no login within ${timeoutMs} ms`, {
    hint: 'The setting is postgres_wire.startup_timeout_ms.',
  })
}
