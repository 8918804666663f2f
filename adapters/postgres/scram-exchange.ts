/**
 * The server's side of SCRAM-SHA-256 (RFC 5802, 7677): the client proves that it has one of the
 * user's keys, and nothing that is sent or stored gives the key. All keys of a user share their salt,
 * so the proof tells which one it is.
 *
 *   client-first ──► server-first (salt, rounds, nonce) ──► client-final (proof) ──► server-final
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { ScramSecrets } from '../../src/database/database.js'
import { DbError } from '../../src/errors.js'

/** Without channel binding. */
export const scramMechanism = 'SCRAM-SHA-256'
/** Bound to the server's certificate: nobody can stand in between, with a certificate of theirs. */
export const scramPlusMechanism = 'SCRAM-SHA-256-PLUS'

export interface ScramOptions {
  /** The one the client chose. */
  readonly mechanism: string
  /** Hash of the server's certificate; undefined where there is no channel to bind to. */
  readonly certificateHash: Uint8Array | undefined
  readonly secrets: ScramSecrets
  /** Random; printable, without a comma. */
  readonly nonce: string
}

export interface ScramProof {
  /** The key that was proven. */
  readonly keyId: string
  /** server-final: that the server knows the key too. */
  readonly serverFinal: string
}

/** One exchange: `first`, then `final`. */
export class ScramExchange {
  readonly #options: ScramOptions
  #clientHeader = ''
  #clientFirstBare = ''
  #serverFirst = ''
  #nonce = ''

  constructor(options: ScramOptions) {
    const offered = options.certificateHash === undefined ? [] : [scramPlusMechanism]
    if (![...offered, scramMechanism].includes(options.mechanism))
      throw new DbError('BAD_REQUEST', 'client selected an invalid SASL authentication mechanism')
    this.#options = options
  }

  /** server-first. Errors: BAD_REQUEST; STATEMENT_REFUSED (an authorization identity). */
  first(clientFirst: string): string {
    const { secrets, nonce } = this.#options
    const read =
      /^((p=[^,]*|n|y),(?:a=[^,]*)?,)(n=[^,]*,r=([\x21-\x2b\x2d-\x7e]+)(?:,.*)?)$/su.exec(
        clientFirst,
      )
    if (read === null) throw malformed('the first message has no name or nonce')
    const [, header = '', flag = '', bare = '', clientNonce = ''] = read
    this.#checkBinding(flag)
    if (!header.endsWith(',,'))
      throw new DbError('STATEMENT_REFUSED', 'client uses authorization identity')
    this.#clientHeader = header
    this.#clientFirstBare = bare
    this.#nonce = clientNonce + nonce
    const salt = Buffer.from(secrets.salt).toString('base64')
    this.#serverFirst = `r=${this.#nonce},s=${salt},i=${secrets.iterations}`
    return this.#serverFirst
  }

  /** Undefined if the proof is of none of the keys. Errors: BAD_REQUEST. */
  final(clientFinal: string): ScramProof | undefined {
    const read = /^(c=([^,]*),r=([^,]*)(?:,[^,]*)*),p=([A-Za-z0-9+/]{43}=)$/su.exec(clientFinal)
    if (read === null) throw malformed('the last message has no proof')
    const [, withoutProof = '', binding = '', nonce = '', proofText = ''] = read
    if (nonce !== this.#nonce) throw malformed('nonce does not match')
    if (binding !== this.#bindingExpected())
      throw malformed('the channel binding is not that of this connection', '28000')
    const signed = `${this.#clientFirstBare},${this.#serverFirst},${withoutProof}`
    return this.#provenBy(Buffer.from(proofText, 'base64'), signed)
  }

  /** `y`: the client could bind, and believes that the server cannot. So somebody stands between. */
  #checkBinding(flag: string): void {
    const { mechanism, certificateHash } = this.#options
    if (mechanism === scramPlusMechanism && flag !== 'p=tls-server-end-point')
      throw malformed('the channel binding is not of a kind there is here')
    if (mechanism === scramMechanism && flag.startsWith('p='))
      throw malformed('channel binding without SCRAM-SHA-256-PLUS')
    if (flag === 'y' && certificateHash !== undefined)
      throw malformed('SCRAM channel binding negotiation error', '28000')
  }

  #bindingExpected(): string {
    const { mechanism, certificateHash } = this.#options
    const bound = mechanism === scramPlusMechanism ? certificateHash : undefined
    return Buffer.concat([Buffer.from(this.#clientHeader), bound ?? Buffer.of()]).toString('base64')
  }

  /** The client's key is the proof, less what only who knows its hash can take away. */
  #provenBy(proof: Buffer, signed: string): ScramProof | undefined {
    const { keys } = this.#options.secrets
    for (const { keyId, storedKey, serverKey } of keys) {
      const signature = hmac(storedKey, signed)
      const clientKey = proof.map((byte, index) => byte ^ (signature[index] ?? 0))
      if (timingSafeEqual(createHash('sha256').update(clientKey).digest(), storedKey))
        return { keyId, serverFinal: `v=${hmac(serverKey, signed).toString('base64')}` }
    }
    return undefined
  }
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function malformed(detail: string, sqlState = '08P01'): DbError {
  return new DbError('BAD_REQUEST', 'malformed SCRAM message', { detail, sqlState })
}
