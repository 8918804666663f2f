/**
 * Callers who stay: sockets and the like. Each is told once when what its key proved no longer
 * holds, from the announcement of the change itself: no query has to find its turn first.
 */
import type { UsersChange } from '../catalog/users.js'
import { DbError, assert } from '../errors.js'
import type { Caller } from './caller.js'

/** A caller while they stay. */
export interface Presence {
  readonly caller: Caller
  /** Counts one request of the key. Errors: RATE_LIMITED with `retryAfterS`. */
  countRequest(): void
  /** Nothing is told after it. Safe twice. */
  leave(): void
}

export interface PresenceOptions {
  readonly caller: Caller
  /** When the key expires, in ms since 1970; Infinity for never. */
  readonly expiresAtMs: number
  readonly countRequest: () => void
  /** Proves the key anew. Errors: those of `Callers.authenticate`. */
  readonly confirm: () => Promise<Caller>
  /** Told once, with UNAUTHORIZED, CALLER_CHANGED, or why the key could not be confirmed. */
  readonly onEnd: (error: DbError) => void
}

export interface PresencesOptions {
  /** Now, in ms since 1970. */
  readonly now: () => number
  /** Id of the key that no change of users or keys ends: this machine's token. */
  readonly localKeyId: string
}

export class Presences {
  readonly #options: PresencesOptions
  readonly #byUser = new Map<string, Set<Present>>()

  constructor(options: PresencesOptions) {
    this.#options = options
  }

  add(options: PresenceOptions): Presence {
    const { caller, countRequest } = options
    const present = new Present(options, this.#options.now, () => this.#forget(present))
    const others = this.#byUser.get(caller.userId)
    if (others === undefined) this.#byUser.set(caller.userId, new Set([present]))
    else others.add(present)
    return { caller, countRequest, leave: () => present.leave() }
  }

  /** Ends those that the change concerns. */
  changed(change: UsersChange): void {
    if (change.kind === 'added') return
    for (const present of [...(this.#byUser.get(change.userId) ?? [])]) {
      if (change.kind === 'rights-changed') present.confirm()
      else if (this.#isEnded(present.caller, change)) present.end(endedBy(change))
    }
  }

  #isEnded(caller: Caller, change: EndingChange): boolean {
    if (change.kind === 'key-revoked') return caller.keyId === change.keyId
    if (change.kind === 'keys-revoked') return caller.keyId !== this.#options.localKeyId
    return true
  }

  #forget(present: Present): void {
    const { userId } = present.caller
    const others = this.#byUser.get(userId)
    others?.delete(present)
    if (others?.size === 0) this.#byUser.delete(userId)
  }
}

type EndingChange = Exclude<UsersChange, { readonly kind: 'added' | 'rights-changed' }>

function endedBy({ kind }: EndingChange): DbError {
  switch (kind) {
    case 'key-revoked':
    case 'keys-revoked':
      return new DbError('UNAUTHORIZED', 'the API key was revoked', { hint: 'Ask for a new key.' })
    case 'user-dropped':
      return new DbError('UNAUTHORIZED', 'the user was dropped')
    case 'role-changed':
      return callerChanged()
  }
}

function callerChanged(): DbError {
  return new DbError('CALLER_CHANGED', 'your role or your rights have changed', {
    hint: 'Connect again with the same key.',
  })
}

class Present {
  readonly caller: Caller
  readonly #options: PresenceOptions
  readonly #now: () => number
  readonly #onGone: () => void
  #timer: NodeJS.Timeout | undefined
  #isGone = false

  constructor(options: PresenceOptions, now: () => number, onGone: () => void) {
    this.caller = options.caller
    this.#options = options
    this.#now = now
    this.#onGone = onGone
    this.#awaitExpiry()
  }

  leave(): void {
    if (this.#isGone) return
    this.#isGone = true
    clearTimeout(this.#timer)
    this.#onGone()
  }

  end(error: DbError): void {
    if (this.#isGone) return
    this.leave()
    this.#options.onEnd(error)
  }

  /** Looks whether the key still proves the same. */
  confirm(): void {
    this.#options.confirm().then(
      (caller) => {
        if (!isSame(caller, this.caller)) this.end(callerChanged())
      },
      (cause: unknown) => {
        this.end(cause instanceof DbError ? cause : unconfirmed(cause))
      },
    )
  }

  #awaitExpiry(): void {
    const { expiresAtMs } = this.#options
    if (expiresAtMs === Infinity) return
    const leftMs = expiresAtMs - this.#now()
    if (leftMs <= 0) {
      this.end(
        new DbError('UNAUTHORIZED', 'the API key has expired', { hint: 'Ask for a new key.' }),
      )
      return
    }
    this.#timer = setTimeout(() => this.#awaitExpiry(), Math.min(leftMs, timerMsMax))
    this.#timer.unref()
  }
}

/** The longest that timers can wait. */
const timerMsMax = 2 ** 31 - 1

function isSame(a: Caller, b: Caller): boolean {
  assert(a.keyId === b.keyId, 'a key keeps its id')
  return (
    a.userId === b.userId &&
    a.role === b.role &&
    a.readOnly === b.readOnly &&
    a.identity.roleOid === b.identity.roleOid
  )
}

function unconfirmed(cause: unknown): DbError {
  return new DbError('INTERNAL', 'the key could not be confirmed', {}, { cause })
}
