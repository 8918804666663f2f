/** Results for people: aligned like psql's, safe for the terminal whatever the rows hold. */
import { cellsOf, type Cell } from './cell.js'
import { displayLine, displayLines, displayWidth } from './display-text.js'
import type { Column, StatementResult } from './server-connection.js'

export interface TableOptions {
  /** One line a column instead of one line a row. */
  readonly isExpanded: boolean
}

/** The rows and their count, or what the statement did: `INSERT 3`, `CREATE TABLE`. */
export function formatTable(result: StatementResult, options: TableOptions): string {
  if (result.columns.length === 0) return `${commandTag(result)}\n`
  const layout = options.isExpanded ? expanded(result) : aligned(result)
  const tag =
    result.command === 'SELECT' || !countingCommands.has(result.command)
      ? ''
      : `${commandTag(result)}\n`
  return `${layout}${tag}`
}

/** Commands that say how many rows they touched. */
const countingCommands = new Set([
  'SELECT',
  'INSERT',
  'UPDATE',
  'DELETE',
  'MERGE',
  'COPY',
  'FETCH',
  'MOVE',
])

function commandTag({ command, rowCount }: StatementResult): string {
  const shown = displayLine(command)
  return countingCommands.has(command) ? `${shown} ${rowCount}` : shown
}

/** `(2 rows)` */
export function footer(count: number): string {
  return count === 1 ? '(1 row)\n' : `(${count} rows)\n`
}

function aligned({ columns, rows }: StatementResult): string {
  const table = rows.map(cellsOf)
  const layout = rowLayout(columns, table)
  const lines = [...layout.head, ...table.flatMap((cells) => layout.lines(cells))]
  return `${lines.join('\n')}\n${footer(rows.length)}`
}

/** How the rows of a table are laid out. */
export interface RowLayout {
  /** The names, and the line below them. */
  readonly head: readonly string[]
  /** The lines of a row; wider values than those of the sample push the others aside. */
  lines(cells: readonly Cell[]): string[]
}

/** Columns are as wide as those of `sample` need. */
export function rowLayout(
  columns: readonly Column[],
  sample: readonly (readonly Cell[])[],
): RowLayout {
  const headers = columns.map(({ name }) => displayLine(name))
  const widths = columnWidths(
    headers,
    sample.map((cells) => cells.map(linesOf)),
  )
  const names = headers.map((header, index) => centred(header, widths[index] ?? 0)).join('|')
  const line = widths.map((width) => '-'.repeat(width + 2)).join('+')
  return {
    head: [names.trimEnd(), line],
    lines: (cells) => rowLines(cells.map(linesOf), columns, widths),
  }
}

const nullText = 'NULL'

function linesOf(cell: Cell): string[] {
  return cell === undefined ? [nullText] : displayLines(cell)
}

function columnWidths(headers: readonly string[], table: readonly string[][][]): number[] {
  const widths = headers.map(displayWidth)
  for (const cells of table) {
    cells.forEach((lines, index) => {
      for (const line of lines) widths[index] = Math.max(widths[index] ?? 0, displayWidth(line))
    })
  }
  return widths
}

function centred(text: string, width: number): string {
  const space = width - displayWidth(text)
  const left = Math.floor(space / 2)
  return ` ${' '.repeat(left)}${text}${' '.repeat(space - left)} `
}

/** A row takes as many lines as its tallest value; `+` says that a value goes on below. */
function rowLines(
  cells: readonly string[][],
  columns: readonly Column[],
  widths: readonly number[],
): string[] {
  const height = Math.max(...cells.map((lines) => lines.length))
  return Array.from({ length: height }, (_, at) =>
    cells
      .map((lines, index) => {
        const text = padded(lines[at] ?? '', widths[index] ?? 0, isNumeric(columns[index]))
        return ` ${text}${at < lines.length - 1 ? '+' : ' '}`
      })
      .join('|')
      .trimEnd(),
  )
}

function padded(text: string, width: number, isRight: boolean): string {
  const space = ' '.repeat(Math.max(0, width - displayWidth(text)))
  return isRight ? space + text : text + space
}

const numericTypes = new Set('int2 int4 int8 float4 float8 numeric money oid'.split(' '))

function isNumeric(column: Column | undefined): boolean {
  return column !== undefined && numericTypes.has(column.type)
}

function expanded({ columns, rows }: StatementResult): string {
  const headers = columns.map(({ name }) => displayLine(name))
  const width = Math.max(...headers.map(displayWidth))
  const records = rows.map((row, at) => {
    const title = `-[ RECORD ${at + 1} ]`.padEnd(width + 3, '-')
    const lines = cellsOf(row).flatMap((cell, index) =>
      recordLines(headers[index] ?? '', cell, width),
    )
    return [title, ...lines].join('\n')
  })
  const shown = records.length === 0 ? '' : `${records.join('\n')}\n`
  return `${shown}${footer(rows.length)}`
}

function recordLines(header: string, cell: Cell, width: number): string[] {
  const lines = linesOf(cell)
  return lines.map((line, at) => {
    const name = padded(at === 0 ? header : '', width, false)
    return `${name} | ${line}${at < lines.length - 1 ? '+' : ''}`.trimEnd()
  })
}
