/** A change's place in the log; 0 is before the first. Not every number is a change's. */
export type Sequence = number & { readonly [sequence]: true }
declare const sequence: unique symbol

/** PostgreSQL's bigint as text. A log of 2^53 changes is beyond any disk. */
export function sequenceOf(text: string | null | undefined): Sequence {
  // Digits of an identity column: an integer.
  return Number(text ?? 0) as Sequence
}

export const logStart = sequenceOf('0')
