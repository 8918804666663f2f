/** Random numbers that a seed repeats. */
export interface Random {
  /** A whole number from 0, below `max`. */
  below(max: number): number
  of<T>(values: readonly T[]): T
  bytes(count: number): Buffer
}

/** Deterministic: mulberry32. */
export function randomFrom(seed: number): Random {
  let state = seed
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (max: number) => Math.floor(next() * max)
  return {
    below,
    of: (values) => {
      const value = values[below(values.length)]
      if (value === undefined) throw new Error('of nothing')
      return value
    },
    bytes: (count) => Buffer.from(Array.from({ length: count }, () => below(256))),
  }
}
