/** TypeScript types of tables, for `createClient<Schema>()` of kalam-link: from the catalog to text. */

/** A column as `system.columns` tells it. */
export interface CatalogColumn {
  readonly namespace: string
  readonly table_name: string
  readonly name: string
  /** As PostgreSQL writes it: `timestamp with time zone`, `text[]`. */
  readonly type: string
  readonly nullable: boolean
  readonly default_value: string | null
}

/** A type that somebody made: an enum with its labels, or a domain over another one. */
export interface CatalogType {
  readonly name: string
  readonly base: string | null
  readonly labels: readonly string[] | null
}

/** Which of `namespace.table` are tables that take rows; views do not. */
export interface Catalog {
  readonly columns: readonly CatalogColumn[]
  readonly types: readonly CatalogType[]
  readonly views: ReadonlySet<string>
}

/** Of `origin`, for the comment at its top. */
export function schemaTypes(catalog: Catalog, origin: string): string {
  const tables = byTable(catalog.columns)
  const types = new Map(catalog.types.map((type) => [type.name, type]))
  const entries = Array.from(tables, ([name, columns]) =>
    tableTypes(columns, types, !catalog.views.has(name)),
  )
  return [
    `// Written by \`kalam types\` from ${origin}: write it anew when tables change.`,
    ...(entries.join('').includes(floatName) ? [floatType] : []),
    'export interface Schema {',
    ...entries,
    '}\n',
  ].join('\n')
}

const floatName = 'Float'
/** What is no number in JSON is a string. */
const floatType = `\nexport type ${floatName} = number | 'NaN' | 'Infinity' | '-Infinity'\n`

function byTable(columns: readonly CatalogColumn[]): ReadonlyMap<string, CatalogColumn[]> {
  const tables = new Map<string, CatalogColumn[]>()
  for (const column of columns) {
    const name = tableOf(column)
    tables.set(name, [...(tables.get(name) ?? []), column])
  }
  return tables
}

function tableOf({ namespace, table_name }: CatalogColumn): string {
  return `${namespace}.${table_name}`
}

type Types = ReadonlyMap<string, CatalogType>

function tableTypes(columns: readonly CatalogColumn[], types: Types, takesRows: boolean): string {
  const [first] = columns
  if (first === undefined) return ''
  const row = columns.map((column) => `      readonly ${rowField(column, types)}`)
  const insert = columns
    .filter(isWritten)
    .map((column) => `      readonly ${insertField(column, types)}`)
  return [
    `  readonly ${JSON.stringify(clientName(first))}: {`,
    ...['    readonly row: {', ...row, '    }'],
    ...(takesRows
      ? ['    readonly insert: {', ...insert, '    }']
      : ['    readonly insert: never']),
    '  }',
  ].join('\n')
}

/** As `client.table` takes it: a part with a dot in it stands in quotes. */
function clientName({ namespace, table_name }: CatalogColumn): string {
  const part = (name: string) => (/[."]/u.test(name) ? `"${name.replaceAll('"', '""')}"` : name)
  return `${part(namespace)}.${part(table_name)}`
}

/** The system fills these in, and computed ones. */
function isWritten({ name, default_value }: CatalogColumn): boolean {
  if (name === '_user_id' || name === '_deleted' || name === '_expires_at') return false
  return default_value === null || !/^(stored|virtual): /u.test(default_value)
}

function rowField({ name, type, nullable }: CatalogColumn, types: Types): string {
  return `${fieldName(name)}: ${read(type, types)}${nullable ? ' | null' : ''}`
}

function insertField(column: CatalogColumn, types: Types): string {
  const { name, type, nullable, default_value } = column
  const isOptional = nullable || default_value !== null
  const mark = isOptional ? '?' : ''
  const orNull = nullable ? ' | null' : ''
  return `${fieldName(name)}${mark}: ${written(type, types)}${orNull}${isOptional ? ' | undefined' : ''}`
}

function fieldName(name: string): string {
  return /^[A-Za-z_$][\w$]*$/u.test(name) ? name : JSON.stringify(name)
}

/** What a row gives: the table "Values" of docs/protocol.md. */
function read(type: string, types: Types): string {
  if (type.endsWith('[]')) return `readonly (${read(type.slice(0, -2), types)} | null)[]`
  const made = types.get(type)
  if (made?.labels) return made.labels.map((label) => JSON.stringify(label)).join(' | ')
  if (made?.base) return read(made.base, types)
  return plain.get(withoutLength(type)) ?? 'string'
}

/** What may be written: also numbers that fit, and dates. */
function written(type: string, types: Types): string {
  if (type.endsWith('[]')) return `readonly (${written(type.slice(0, -2), types)} | null)[]`
  const base = types.get(type)?.base
  if (base) return written(base, types)
  const given = read(type, types)
  const more = moreWritten.get(withoutLength(type))
  return more === undefined ? given : `${given} | ${more}`
}

/** `numeric(10,2)`, `timestamp(3) with time zone`. */
function withoutLength(type: string): string {
  return type.replace(/\(\d+(,-?\d+)?\)/u, '')
}

const plain: ReadonlyMap<string, string> = new Map([
  ['boolean', 'boolean'],
  ['smallint', 'number'],
  ['integer', 'number'],
  ['oid', 'number'],
  ['real', floatName],
  ['double precision', floatName],
  ['json', 'unknown'],
  ['jsonb', 'unknown'],
])

const moreWritten: ReadonlyMap<string, string> = new Map([
  ['bigint', 'number | bigint'],
  ['numeric', 'number | bigint'],
  ['timestamp with time zone', 'Date'],
  ['bytea', 'Uint8Array'],
])
