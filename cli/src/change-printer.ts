/** Writes a live query to a terminal or a pipe, as it changes. */
import type { FeedEvent } from 'kalam-link/feed'
import { cellsOf, type Cell } from './cell.js'
import { csvLine } from './csv-format.js'
import { elements, members, readString } from './json-source.js'
import type { OutputFormat } from './output-format.js'
import type { Column } from './server-connection.js'
import { footer, rowLayout, type RowLayout } from './table-format.js'

type ChangeType = 'insert' | 'update' | 'delete'

/** What the server tells of a row. */
interface RowChange {
  readonly type: ChangeType
  /** JSON of the list of the key's values. */
  readonly key: string
  /** JSON of the list of all values; not of a delete. */
  readonly row: string | undefined
  /** JSON of its place, in ordered results. */
  readonly at: string | undefined
}

/** The columns of a live query. */
interface Shape {
  readonly columns: readonly Column[]
  /** Which of them make the key; none: the key is the whole row and a number. */
  readonly key: readonly number[]
}

/** Writes one format. Each method answers the text to write. */
interface ChangeFormat {
  begin(shape: Shape): string
  rows(rows: readonly string[]): string
  ready(cursor: string): string
  /** `cursor`: up to where everything has been told once this change was. */
  change(change: RowChange, cursor: string | undefined): string
  reset(reason: string): string
}

export class ChangePrinter {
  readonly #format: ChangeFormat
  readonly #write: (text: string) => void
  /** Up to here everything was told. */
  #cursor: string | undefined

  constructor(format: OutputFormat, write: (text: string) => void, from: string | undefined) {
    this.#format = formats[format]()
    this.#write = write
    this.#cursor = from
  }

  print(event: Exclude<FeedEvent, { readonly kind: 'failed' | 'waiting' }>): void {
    switch (event.kind) {
      case 'subscribed':
        this.#write(this.#format.begin(shapeOf(event.columns, event.key)))
        break
      case 'rows':
        this.#write(this.#format.rows(elements(event.rows)))
        break
      case 'ready':
        this.#cursor = event.cursor
        this.#write(this.#format.ready(event.cursor))
        break
      case 'changes':
        this.#write(this.#changes(elements(event.changes), event.cursor))
        break
      case 'reset':
        this.#cursor = undefined
        this.#write(this.#format.reset(event.reason))
    }
  }

  /** Only the last of changes that belong together has their cursor: one before it would skip some. */
  #changes(changes: readonly string[], cursor: string): string {
    const before = this.#cursor
    this.#cursor = cursor
    return changes
      .map((change, index) =>
        this.#format.change(readChange(change), index === changes.length - 1 ? cursor : before),
      )
      .join('')
  }
}

function shapeOf(columns: string, key: string): Shape {
  return {
    columns: elements(columns).map((source) => {
      const column = members(source)
      return {
        name: readString(column.get('name') ?? '""'),
        type: readString(column.get('type') ?? '""'),
      }
    }),
    key: elements(key).map(Number),
  }
}

function readChange(source: string): RowChange {
  const [operation, key = '[]', row, at] = elements(source)
  const type = operation === '"i"' ? 'insert' : operation === '"u"' ? 'update' : 'delete'
  return { type, key, row, at }
}

const formats: Readonly<Record<OutputFormat, () => ChangeFormat>> = {
  table: () => new TableChanges(),
  json: () => new JsonChanges(),
  csv: () => new CsvChanges(),
}

/** One object a line; values keep every digit. */
class JsonChanges implements ChangeFormat {
  #names: readonly string[] = []

  begin({ columns }: Shape): string {
    this.#names = columns.map(({ name }) => JSON.stringify(name))
    return ''
  }

  rows(rows: readonly string[]): string {
    return rows
      .map((row) => `{"type":"snapshot","row":${this.#object(row)},"cursor":null}\n`)
      .join('')
  }

  ready(cursor: string): string {
    return `{"type":"ready","cursor":${JSON.stringify(cursor)}}\n`
  }

  change({ type, key, row, at }: RowChange, cursor: string | undefined): string {
    const told = row === undefined ? '' : `,"row":${this.#object(row)}`
    const place = at === undefined ? '' : `,"at":${at}`
    return `{"type":"${type}"${told},"key":${key}${place},"cursor":${JSON.stringify(cursor ?? null)}}\n`
  }

  reset(reason: string): string {
    return `{"type":"reset","reason":${JSON.stringify(reason)},"cursor":null}\n`
  }

  /** Of columns with one name the last wins, as over HTTP. */
  #object(row: string): string {
    const values = elements(row)
    const byName = new Map(this.#names.map((name, index) => [name, values[index] ?? 'null']))
    return `{${[...byName].map(([name, value]) => `${name}:${value}`).join(',')}}`
  }
}

const marks: Readonly<Record<ChangeType, string>> = { insert: '+', update: '~', delete: '-' }

/** For people: the first rows as a table, then a line for each change. */
class TableChanges implements ChangeFormat {
  #shape: Shape = { columns: [], key: [] }
  #layout: RowLayout | undefined
  #count = 0

  begin(shape: Shape): string {
    this.#shape = shape
    return ''
  }

  rows(rows: readonly string[]): string {
    this.#count += rows.length
    const table = rows.map(cellsOf)
    return this.#head(table) + table.map((cells) => this.#line(' ', cells)).join('')
  }

  ready(): string {
    const text = `${this.#head([])}${footer(this.#count)}`
    this.#count = 0
    return text
  }

  change({ type, key, row }: RowChange): string {
    const cells = row === undefined ? cellsOfKey(key, this.#shape) : cellsOf(row)
    return this.#head([cells]) + this.#line(marks[type], cells)
  }

  reset(): string {
    this.#layout = undefined
    this.#count = 0
    return ''
  }

  /** Before the first line. */
  #head(sample: readonly (readonly Cell[])[]): string {
    if (this.#layout !== undefined) return ''
    this.#layout = rowLayout(this.#shape.columns, sample)
    return this.#layout.head.map((line) => ` ${line}\n`).join('')
  }

  #line(mark: string, cells: readonly Cell[]): string {
    const lines = this.#layout?.lines(cells) ?? []
    return lines.map((line, at) => `${at === 0 ? mark : ' '}${line}\n`).join('')
  }
}

class CsvChanges implements ChangeFormat {
  #shape: Shape = { columns: [], key: [] }
  #header = ''

  begin(shape: Shape): string {
    this.#shape = shape
    const header = csvLine(['type', 'cursor', ...shape.columns.map(({ name }) => name)])
    if (header === this.#header) return ''
    this.#header = header
    return header
  }

  rows(rows: readonly string[]): string {
    return rows.map((row) => csvLine(['snapshot', undefined, ...cellsOf(row)])).join('')
  }

  ready(cursor: string): string {
    return this.#event('ready', cursor)
  }

  change({ type, key, row }: RowChange, cursor: string | undefined): string {
    const cells = row === undefined ? cellsOfKey(key, this.#shape) : cellsOf(row)
    return csvLine([type, cursor, ...cells])
  }

  reset(): string {
    return this.#event('reset', undefined)
  }

  #event(type: string, cursor: string | undefined): string {
    return csvLine([type, cursor, ...this.#shape.columns.map(() => undefined)])
  }
}

/** The key's values in their columns; the others are not known. */
function cellsOfKey(key: string, shape: Shape): Cell[] {
  const values = cellsOf(key)
  if (shape.key.length === 0) return values.slice(0, shape.columns.length)
  return shape.columns.map((_, index) => {
    const place = shape.key.indexOf(index)
    return place === -1 ? '' : values[place]
  })
}
