/** How long to wait before the next attempt to connect. */
export interface BackoffOptions {
  /** Before the first attempt. */
  readonly delayMsMin: number
  /** Before attempts that follow many in vain. */
  readonly delayMsMax: number
}

export const usualBackoff: BackoffOptions = { delayMsMin: 100, delayMsMax: 15_000 }

/**
 * Doubles with each attempt in vain (from 0). Half of it is chance, so that clients that lost one
 * server do not come back at one moment. `random`: 0 to 1.
 */
export function backoffMs(attempt: number, random: number, options = usualBackoff): number {
  const { delayMsMin, delayMsMax } = options
  const fullMs = Math.min(delayMsMax, delayMsMin * 2 ** Math.min(attempt, doublingsMax))
  return fullMs / 2 + (fullMs / 2) * random
}

/** More would overflow before the maximum is taken. */
const doublingsMax = 30
