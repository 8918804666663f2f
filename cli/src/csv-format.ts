/** Results as CSV (RFC 4180), the way PostgreSQL writes it: NULL is nothing, an empty text is `""`. */
import { cellsOf, type Cell } from './cell.js'
import type { StatementResult } from './server-connection.js'

const lineEnd = '\r\n'

/** One line, with its end. */
export function csvLine(cells: readonly Cell[]): string {
  return cells.map(field).join(',') + lineEnd
}

/** The header and the rows; nothing for a statement that has no columns. */
export function formatCsv({ columns, rows }: StatementResult): string {
  if (columns.length === 0) return ''
  const header = columns.map(({ name }) => field(name)).join(',')
  return [header, ...rows.map((row) => cellsOf(row).map(field).join(','))].join(lineEnd) + lineEnd
}

function field(cell: Cell): string {
  if (cell === undefined) return ''
  return cell === '' || /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell
}
