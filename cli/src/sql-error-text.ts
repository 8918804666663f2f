/** An SQL error for people: PostgreSQL's message, the line with a caret under the place, the hint. */
import { displayLine, displayWidth } from './display-text.js'
import type { SqlFailure } from './sql-session.js'

/** `source` names the file, or is absent for what was typed. */
export function formatSqlError(failure: SqlFailure, source: string | undefined): string {
  const { error, line, column } = failure
  const place = source === undefined ? '' : `${displayLine(source)}:${line}:${column}: `
  const lines = [
    `${place}ERROR: ${indented(error.message)} (${displayLine(error.sqlstate ?? error.code)})`,
    ...excerpt(failure, source === undefined ? undefined : line),
    ...labelled('DETAIL', error.detail),
    ...labelled('HINT', error.hint),
    ...labelled('CONTEXT', error.where),
  ]
  return `${lines.join('\n')}\n`
}

function labelled(label: string, text: string | undefined): string[] {
  return text === undefined ? [] : [`${label}: ${indented(text)}`]
}

function indented(text: string): string {
  return text.split('\n').map(displayLine).join('\n  ')
}

/** The line and a caret. A long line is cut around the place. */
function excerpt({ text, index, line }: SqlFailure, fileLine: number | undefined): string[] {
  if (index === undefined || text === '') return []
  const start = text.lastIndexOf('\n', index - 1) + 1
  const lineEnd = text.indexOf('\n', index)
  const shownStart = Math.max(start, index - excerptBefore)
  const shownEnd = Math.min(lineEnd < 0 ? text.length : lineEnd, index + excerptAfter)
  const label = `LINE ${fileLine ?? line}: ${shownStart > start ? '…' : ''}`
  const before = displayLine(text.slice(shownStart, index))
  const after = displayLine(text.slice(index, shownEnd).trimEnd())
  return [`${label}${before}${after}`, `${' '.repeat(displayWidth(label) + displayWidth(before))}^`]
}

/** Characters shown on either side of the place: a line of 80 columns holds both. */
const excerptBefore = 40
const excerptAfter = 30
