import { LRUCache } from 'lru-cache'
import { DbError } from '../errors.js'

export interface RateLimitsOptions {
  /** Now, in ms since 1970. */
  readonly now: () => number
  /** Requests per second in the long run; 0 for no limit. */
  readonly requestsPerSecond: number
  /** Requests that may come at once. */
  readonly burstRequests: number
  /** Keys that are counted; the one unused for longest starts afresh beyond it. */
  readonly keysMax: number
}

/** What a key has left. */
interface Bucket {
  requests: number
  /** When `requests` was right, in ms since 1970. */
  atMs: number
}

/** A bucket of requests for each key, refilled at a steady rate. */
export class RateLimits {
  readonly #options: RateLimitsOptions
  readonly #buckets: LRUCache<string, Bucket>

  constructor(options: RateLimitsOptions) {
    this.#options = options
    this.#buckets = new LRUCache({ max: options.keysMax })
  }

  /** Takes one request from the key. Errors: RATE_LIMITED, with the seconds until there is one. */
  take(keyId: string): void {
    const { requestsPerSecond } = this.#options
    if (requestsPerSecond === 0) return
    const bucket = this.#refilled(keyId)
    if (bucket.requests < 1) {
      const retryAfterS = Math.ceil((1 - bucket.requests) / requestsPerSecond)
      throw new DbError(
        'RATE_LIMITED',
        `this key may make ${requestsPerSecond} requests a second`,
        { retryAfterS },
      )
    }
    bucket.requests -= 1
  }

  #refilled(keyId: string): Bucket {
    const { now, requestsPerSecond, burstRequests } = this.#options
    const atMs = now()
    const bucket = this.#buckets.get(keyId) ?? { requests: burstRequests, atMs }
    // A clock that was set back must not take away what was there.
    const elapsedMs = Math.max(0, atMs - bucket.atMs)
    bucket.requests = Math.min(
      burstRequests,
      bucket.requests + (elapsedMs * requestsPerSecond) / 1000,
    )
    bucket.atMs = atMs
    this.#buckets.set(keyId, bucket)
    return bucket
  }
}
