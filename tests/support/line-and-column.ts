import type { LineAndColumn } from '#src/protocol/sql-text.js'
import { positionAt } from '#src/protocol/text-position.js'

/** The line and column of a UTF-16 index, without the position. */
export function lineAndColumn(text: string, index: number): LineAndColumn {
  const { line, column } = positionAt(text, index)
  return { line, column }
}
