import type { Sequence } from './sequence.js'

/** A place in one log. Of two cursors of a log the later is the greater text. */
export interface Cursor {
  /** Names the log: another one has other changes under the same numbers. */
  readonly incarnation: string
  readonly sequence: Sequence
}

/** Digits of a sequence: enough for every bigint, so that texts sort as numbers do. */
const digits = 16

export function formatCursor({ incarnation, sequence }: Cursor): string {
  return `${incarnation}.${sequence.toString(16).padStart(digits, '0')}`
}

/** Undefined if the text is no cursor of any log. */
export function parseCursor(text: string): Cursor | undefined {
  const [, incarnation, sequence] = /^([0-9a-z]{1,64})\.([0-9a-f]{16})$/.exec(text) ?? []
  if (incarnation === undefined || sequence === undefined) return undefined
  const number = Number.parseInt(sequence, 16)
  // Hexadecimal digits: a number. Past 2^53 no log has come.
  return number > Number.MAX_SAFE_INTEGER
    ? undefined
    : { incarnation, sequence: number as Sequence }
}
