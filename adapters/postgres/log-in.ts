/**
 * From a new socket to a caller who has proven a key:
 *
 *   [SSLRequest | GSSENCRequest]… ─► start-up packet ─► SCRAM-SHA-256 ─► presence
 *                          └────────► CancelRequest, and nothing more
 *
 * A stranger learns nothing on the way: a name that nobody has is asked for a proof like any other.
 */
import type { Database, Presence } from '../../src/database/database.js'
import { DbError } from '../../src/errors.js'
import type { FrameBound } from './frame-reader.js'
import { frontendTag } from './frontend-tag.js'
import { isDatabase, readLoginRequest, type LoginRequest } from './login-request.js'
import {
  ScramExchange,
  scramMechanism,
  scramPlusMechanism,
  type ScramProof,
} from './scram-exchange.js'
import type { ServerCertificate } from './server-certificate.js'
import {
  authenticationSasl,
  authenticationSaslContinue,
  authenticationSaslFinal,
  negotiateProtocolVersion,
} from './server-messages.js'
import { readStartupPacket, startupBytesMax, type StartupPacket } from './startup-packet.js'
import type { WireSocket } from './wire-socket.js'

export interface LogInOptions {
  readonly socket: WireSocket
  readonly database: Database
  /** Undefined if there is no TLS. */
  readonly certificate: ServerCertificate | undefined
  /** Whether nobody gets in without TLS. */
  readonly tlsRequired: boolean
  readonly random: (count: number) => Uint8Array
  /** Told of a proof that is of none of the user's keys. */
  readonly onWrongProof: () => void
  /** Told when the key no longer proves what it does now. */
  readonly onEnd: (error: DbError) => void
}

export type Arrival =
  | { readonly kind: 'cancel'; readonly processId: number; readonly secret: Uint8Array }
  | {
      readonly kind: 'login'
      readonly presence: Presence
      readonly request: LoginRequest
      /** Of the protocol that is spoken: 3.`minor`. */
      readonly minor: number
    }

/** The newest that is spoken: 3.2. */
export const minorMax = 2

/** Errors: UNAUTHORIZED and any other are said to the client, as FATAL; CANCELLED if it is gone. */
export async function logIn(options: LogInOptions): Promise<Arrival> {
  const { socket, database, onEnd } = options
  const packet = await firstPacket(options)
  if (packet.kind === 'cancel') return packet
  if (options.certificate !== undefined && options.tlsRequired && !socket.isSecure) throw noTls()
  const request = readLoginRequest(packet.parameters)
  const minor = Math.min(packet.minor, minorMax)
  if (packet.minor > minorMax || request.protocolOptions.length > 0)
    await socket.send(negotiateProtocolVersion(minor, request.protocolOptions))
  const { keyId, serverFinal } = await prove(options, request)
  const presence = await database.enterProven(keyId, onEnd)
  try {
    if (!isDatabase(request)) throw noSuchDatabase(request.database)
    await socket.send(authenticationSaslFinal(serverFinal))
  } catch (thrown) {
    presence.leave()
    throw thrown
  }
  return { kind: 'login', presence, request, minor }
}

type FirstPacket = Extract<StartupPacket, { readonly kind: 'cancel' | 'startup' }>

/** After each kind of encryption was asked for once at most, as in PostgreSQL. */
async function firstPacket({ socket, certificate }: LogInOptions): Promise<FirstPacket> {
  const first = await socket.next((reader) => reader.peek())
  if (first === tlsHandshake && certificate !== undefined)
    await socket.secureAtOnce(certificate.context)
  const asked = new Set<'ssl' | 'gss'>()
  for (;;) {
    const body = await socket.next((reader) => reader.startupPacket(startupBound))
    const packet = readStartupPacket(body)
    if (packet.kind === 'cancel' || packet.kind === 'startup') return packet
    if (asked.has(packet.kind) || socket.isSecure)
      throw new DbError('BAD_REQUEST', 'encryption was asked for twice')
    asked.add(packet.kind)
    await answerEncryption(socket, packet.kind === 'ssl' ? certificate : undefined)
  }
}

/** First byte of a client that begins with TLS at once (`sslnegotiation=direct`). */
const tlsHandshake = 0x16
const startupBound: FrameBound = {
  bytesMax: startupBytesMax,
  name: 'PostgreSQL, MAX_STARTUP_PACKET_LENGTH',
}

async function answerEncryption(
  socket: WireSocket,
  certificate: ServerCertificate | undefined,
): Promise<void> {
  await socket.send(Buffer.from(certificate === undefined ? 'N' : 'S'))
  if (certificate !== undefined) await socket.secure(certificate.context)
}

/** Errors: UNAUTHORIZED. */
async function prove(options: LogInOptions, { user }: LoginRequest): Promise<ScramProof> {
  const { socket, database, certificate, random } = options
  const certificateHash = socket.isSecure ? certificate?.hash : undefined
  const plus = certificateHash === undefined ? [] : [scramPlusMechanism]
  await socket.send(authenticationSasl([...plus, scramMechanism]))
  const { mechanism, clientFirst } = readSaslInitial(await saslMessage(socket))
  const secrets = await database.scramSecrets(user)
  const exchange = new ScramExchange({
    ...{ mechanism, certificateHash, secrets },
    nonce: Buffer.from(random(nonceBytes)).toString('base64'),
  })
  await socket.send(authenticationSaslContinue(exchange.first(clientFirst)))
  const proof = exchange.final((await saslMessage(socket)).toString('utf8'))
  if (proof !== undefined) return proof
  options.onWrongProof()
  throw wrongKey(user)
}

/** As PostgreSQL; the RFC asks for no number. */
const nonceBytes = 18

/** The body of a SASL message. */
async function saslMessage(socket: WireSocket): Promise<Buffer> {
  const message = await socket.next((reader) => reader.message(saslBound))
  if (message[0] !== frontendTag.proof)
    throw new DbError('BAD_REQUEST', `expected SASL response, got message type ${message[0] ?? 0}`)
  return message.subarray(5)
}

const saslBound: FrameBound = { bytesMax: 1_024, name: 'PostgreSQL, PG_MAX_SASL_MESSAGE_LENGTH' }

/** SASLInitialResponse: the mechanism, and what the client says first in it. */
function readSaslInitial(body: Buffer): {
  readonly mechanism: string
  readonly clientFirst: string
} {
  const nameEnd = body.indexOf(0)
  const start = nameEnd + 5
  if (
    nameEnd === -1 ||
    body.length < start ||
    body.readInt32BE(nameEnd + 1) !== body.length - start
  )
    throw new DbError('BAD_REQUEST', 'malformed SASL initial response')
  return {
    mechanism: body.toString('utf8', 0, nameEnd),
    clientFirst: body.toString('utf8', start),
  }
}

function wrongKey(user: string): DbError {
  return new DbError('UNAUTHORIZED', `password authentication failed for user "${user}"`, {
    hint: 'The password is an API key of that user.',
  })
}

function noTls(): DbError {
  return new DbError('UNAUTHORIZED', 'this server takes encrypted connections only', {
    sqlState: '28000',
    hint: 'Connect with sslmode=require.',
  })
}

function noSuchDatabase(name: string): DbError {
  return new DbError('NOT_FOUND', `database "${name}" does not exist`, {
    sqlState: '3D000',
    hint: 'The one database is kalamdb.',
  })
}
