/**
 * Tells from a key who asks, and for whom a caller may act. What the catalog answered is
 * remembered until any user or key changes, so a known key costs no engine time.
 */
import { LRUCache } from 'lru-cache'
import { digestOf, isKey, scramIterations, type ScramKeys } from '../catalog/api-key.js'
import {
  rootUserId,
  type KeySecrets,
  type KnownKey,
  type KnownUser,
  type Users,
} from '../catalog/users.js'
import { DbError, assert } from '../errors.js'
import type { Caller } from './caller.js'
import type { LocalToken } from './local-token.js'
import { Presences, type Presence } from './presences.js'
import { RateLimits } from './rate-limits.js'

export interface CallersOptions {
  /** Now, in ms since 1970. */
  readonly now: () => number
  /** Keys that are remembered, and as many that are none: `auth.key_cache_entries`. */
  readonly keysMax: number
  /** `limits.requests_per_second_per_key`; 0 for no limit. */
  readonly requestsPerSecond: number
  /** `limits.burst_requests_per_key`. */
  readonly burstRequests: number
  /** This machine's token; undefined when `auth.allow_localhost` is off. */
  readonly localToken: Pick<LocalToken, 'accepts' | 'scramKeys'> | undefined
  /** Told of each key that proves nothing, whatever door it came through. */
  readonly onKeyRefused: (why: KeyRefusal) => void
  /** Told of each request over the rate of its key. */
  readonly onRateLimited: () => void
}

/** `unknown`: revoked as well, which leaves nothing to tell it by. */
export type KeyRefusal = 'missing' | 'malformed' | 'unknown' | 'expired'

/** What a door needs to check that a client has one of a user's keys (SCRAM-SHA-256, RFC 5802). */
export interface ScramSecrets {
  readonly salt: Uint8Array
  readonly iterations: number
  /** At least one: a name that nobody has, and a user without keys, have one that nobody has. */
  readonly keys: readonly KeySecrets[]
}

/** It makes as much work as another, whose time so does not tell. No text is known that hashes to zeros. */
const nobodysKey: KeySecrets = {
  ...{ keyId: 'nobody', storedKey: new Uint8Array(32), serverKey: new Uint8Array(32) },
}

/** Id that the local token has among keys. */
export const localKeyId = 'local'

/**
 * How long a key that is none is remembered as such. Changes of keys by this server forget it at
 * once; this is for changes that it does not see.
 */
const unknownKeyMs = 10_000

interface Known {
  readonly caller: Caller
  /** Infinity for never. */
  readonly expiresAtMs: number
}

export class Callers {
  readonly #users: Users
  readonly #options: CallersOptions
  readonly #rates: RateLimits
  readonly #presences: Presences
  readonly #byDigest: LRUCache<string, Known>
  /** Digests of well-formed keys that nobody has; when they were looked up, in ms since 1970. */
  readonly #unknown: LRUCache<string, number>
  readonly #byName: LRUCache<string, KnownUser>
  #localKeys: Promise<ScramKeys> | undefined
  /** Grows with each change, so that an answer from before it is not remembered after it. */
  #changes = 0

  constructor(users: Users, options: CallersOptions) {
    this.#users = users
    this.#options = options
    this.#rates = new RateLimits(options)
    this.#byDigest = new LRUCache({ max: options.keysMax })
    this.#unknown = new LRUCache({ max: options.keysMax })
    this.#byName = new LRUCache({ max: options.keysMax })
    this.#presences = new Presences({ now: options.now, localKeyId })
    users.onChange((change) => {
      this.#forget()
      this.#presences.changed(change)
    })
  }

  /**
   * The caller this key belongs to. Errors: UNAUTHORIZED (no key of this server, expired, revoked),
   * RATE_LIMITED with `retryAfterS`; those of the engine for a key that is not remembered.
   */
  async authenticate(key: string): Promise<Caller> {
    const proving = this.#prove(key)
    const { caller } = proving instanceof Promise ? await proving : proving
    this.#countRequest(caller)
    return caller
  }

  /**
   * As `authenticate`, for a caller who stays: `onEnd` is told once, when the key no longer proves
   * what it does now (UNAUTHORIZED, CALLER_CHANGED), unless they have left.
   */
  enter(key: string, onEnd: (error: DbError) => void): Promise<Presence> {
    return this.#enter(() => this.#prove(key), onEnd)
  }

  /** As `enter`, for the owner of the key with this id, who has proven it with `scramSecrets`. */
  enterProven(keyId: string, onEnd: (error: DbError) => void): Promise<Presence> {
    return this.#enter(() => this.#proveById(keyId), onEnd)
  }

  /** Of all keys of that user that are not revoked. Errors: those of the engine. */
  async scramSecrets(userName: string): Promise<ScramSecrets> {
    const { salt, userId, keys } = await this.#users.secretsOf(userName)
    const local = userId === rootUserId ? await this.#localSecrets(salt) : []
    const known = [...local, ...keys]
    return { salt, iterations: scramIterations, keys: known.length > 0 ? known : [nobodysKey] }
  }

  async #enter(
    prove: () => Known | Promise<Known>,
    onEnd: (error: DbError) => void,
  ): Promise<Presence> {
    for (;;) {
      const changes = this.#changes
      const { caller, expiresAtMs } = await prove()
      // Who was proven before a change might miss its announcement.
      if (changes !== this.#changes) continue
      const countRequest = () => this.#countRequest(caller)
      countRequest()
      const confirm = async () => (await prove()).caller
      return this.#presences.add({ caller, expiresAtMs, countRequest, confirm, onEnd })
    }
  }

  /** Errors: RATE_LIMITED with `retryAfterS`. */
  #countRequest({ keyId }: Caller): void {
    try {
      this.#rates.take(keyId)
    } catch (thrown) {
      this.#options.onRateLimited()
      throw thrown
    }
  }

  async #localSecrets(salt: Uint8Array): Promise<readonly KeySecrets[]> {
    const { localToken } = this.#options
    if (localToken === undefined) return []
    // Root's salt stays the same, so one is enough; deriving takes milliseconds of another thread.
    this.#localKeys ??= localToken.scramKeys(salt)
    return [{ keyId: localKeyId, ...(await this.#localKeys) }]
  }

  async #proveById(keyId: string): Promise<Known> {
    if (keyId === localKeyId) return this.#root()
    const key = await this.#users.findByKeyId(keyId)
    if (key === undefined) throw this.#unknownKey('unknown')
    return this.#unexpired(knownOf(key))
  }

  /** Nothing is awaited for a key that is remembered. */
  #prove(key: string): Known | Promise<Known> {
    // Text that cannot be a key costs no hash and no engine time.
    if (!isKey(key)) throw this.#unknownKey(key === '' ? 'missing' : 'malformed')
    const digest = digestOf(key)
    const known = this.#byDigest.get(digest.toString('latin1'))
    if (known !== undefined) return this.#unexpired(known)
    return this.#find(digest).then((found) => this.#unexpired(found))
  }

  #unexpired(known: Known): Known {
    if (known.expiresAtMs > this.#options.now()) return known
    this.#options.onKeyRefused('expired')
    throw new DbError('UNAUTHORIZED', 'the API key has expired', { hint: 'Ask for a new key.' })
  }

  /**
   * The caller to run `EXECUTE AS 'name' (…)` as: that user with the key and the read-only flag of
   * `caller`. A service may act for users, an admin for users and services; none gains more than
   * the role `user` can do. `users`: as seen by who has the engine. Errors: FORBIDDEN, NOT_FOUND.
   */
  async callerFor(caller: Caller, name: string, users = this.#users): Promise<Caller> {
    if (caller.role === 'user') {
      throw new DbError('FORBIDDEN', 'EXECUTE AS is for services and admins')
    }
    const target = this.#byName.get(name) ?? (await this.#findByName(name, users))
    if (target.role === 'admin' || (target.role === 'service' && caller.role !== 'admin')) {
      throw new DbError(
        'FORBIDDEN',
        `a caller with the role ${caller.role} cannot act for '${name}'`,
      )
    }
    const { keyId, readOnly } = caller
    return callerOf({ user: { ...target, role: 'user' }, keyId, readOnly })
  }

  async #find(digest: Uint8Array): Promise<Known> {
    const name = Buffer.from(digest).toString('latin1')
    const now = this.#options.now()
    const missedAt = this.#unknown.get(name)
    if (missedAt !== undefined && now - missedAt < unknownKeyMs) throw this.#unknownKey('unknown')
    const changes = this.#changes
    const known = await this.#lookUp(digest)
    if (changes === this.#changes)
      if (known === undefined) this.#unknown.set(name, now)
      else this.#byDigest.set(name, known)
    if (known === undefined) throw this.#unknownKey('unknown')
    return known
  }

  async #lookUp(digest: Uint8Array): Promise<Known | undefined> {
    if (this.#options.localToken?.accepts(digest) === true) return this.#root()
    const key = await this.#users.findByDigest(digest)
    return key && knownOf(key)
  }

  async #root(): Promise<Known> {
    const user = await this.#users.findByName(rootUserId)
    assert(user?.userId === rootUserId, 'root is always there')
    return {
      caller: callerOf({ user, keyId: localKeyId, readOnly: false }),
      expiresAtMs: Infinity,
    }
  }

  async #findByName(name: string, users: Users): Promise<KnownUser> {
    const changes = this.#changes
    const user = await users.findByName(name)
    if (user === undefined) throw new DbError('NOT_FOUND', `there is no user '${name}'`)
    if (changes === this.#changes) this.#byName.set(name, user)
    return user
  }

  /** One answer for malformed, unknown and revoked: a stranger learns nothing from it. */
  #unknownKey(why: KeyRefusal): DbError {
    this.#options.onKeyRefused(why)
    return new DbError('UNAUTHORIZED', 'the API key is unknown or revoked', {
      hint: "CREATE APIKEY FOR 'name' makes a new one.",
    })
  }

  #forget(): void {
    this.#changes++
    this.#byDigest.clear()
    this.#unknown.clear()
    this.#byName.clear()
  }
}

function knownOf(key: KnownKey): Known {
  return { caller: callerOf(key), expiresAtMs: key.expiresAtMs }
}

interface ProvenKey {
  readonly user: KnownUser
  readonly keyId: string
  readonly readOnly: boolean
}

function callerOf({ user, keyId, readOnly }: ProvenKey): Caller {
  const { userId, name, role, roleOid } = user
  const identity = Object.freeze({ roleOid, userId, readOnly })
  return Object.freeze({ userId, name, role, keyId, readOnly, identity })
}
