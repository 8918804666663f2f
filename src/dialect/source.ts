import { DbError, type ErrorFields } from '../errors.js'
import type { ErrorCode } from '../protocol/error-code.js'
import { positionAfter, type TextPosition } from '../protocol/text-position.js'
import type { Place } from './plan.js'

/** A statement's text and where it stands in what the caller sent. Indices are UTF-16, in `text`. */
export interface Source {
  readonly text: string
  readonly place: Place
}

/** The part of a source from `start` to `end`, as a source of its own. */
export function partOf(source: Source, start: number, end: number): Source {
  const place = {
    start: source.place.start + start,
    end: source.place.start + end,
    ...positionIn(source, start),
  }
  return { text: source.text.slice(start, end), place: Object.freeze(place) }
}

/** The caller's position of an index in the statement. */
export function positionIn(source: Source, index: number): TextPosition {
  const { position, line, column } = source.place
  return positionAfter({ position, line, column }, source.text, 0, index)
}

/** An error that points at a place in the caller's text. */
export function errorAt(
  source: Source,
  index: number,
  code: ErrorCode,
  message: string,
  fields: Pick<ErrorFields, 'hint' | 'detail' | 'sqlState'> = {},
): DbError {
  return new DbError(code, message, { ...positionIn(source, index), ...fields })
}
