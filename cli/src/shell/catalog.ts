import { cellsOf } from '../cell.js'
import type { ServerConnection } from '../server-connection.js'

/** What the server has, by name, for completion. */
export interface CatalogNames {
  readonly namespaces: readonly string[]
  readonly tables: readonly { readonly namespace: string; readonly name: string }[]
  readonly columns: readonly {
    readonly namespace: string
    readonly table: string
    readonly name: string
  }[]
}

const noNames: CatalogNames = { namespaces: [], tables: [], columns: [] }

/** Reads the names when they are first needed, and again after something may have changed. */
export class Catalog {
  readonly #connection: ServerConnection
  #names: Promise<CatalogNames> | undefined

  constructor(connection: ServerConnection) {
    this.#connection = connection
  }

  names(): Promise<CatalogNames> {
    this.#names ??= this.#read()
    return this.#names
  }

  forget(): void {
    this.#names = undefined
  }

  /** Completion is a courtesy: where it fails, there is none. */
  async #read(): Promise<CatalogNames> {
    try {
      const columns = await this.#rows(
        `select namespace, table_name, name from system.columns limit ${columnsMax}`,
      )
      const tables = await this.#rows('select namespace, name from system.tables')
      const namespaces = await this.#rows('select name from system.namespaces')
      return {
        namespaces: namespaces.map(([name = '']) => name),
        tables: tables.map(([namespace = '', name = '']) => ({ namespace, name })),
        columns: columns.map(([namespace = '', table = '', name = '']) => ({
          namespace,
          table,
          name,
        })),
      }
    } catch {
      return noNames
    }
  }

  async #rows(sql: string): Promise<string[][]> {
    const reply = await this.#connection.run({ sql, rows: 'array' })
    const rows = reply.kind === 'results' ? (reply.results[0]?.rows ?? []) : []
    return rows.map((row) => cellsOf(row).map((cell) => cell ?? ''))
  }
}

/** Enough for any schema that a person types against, small enough to be read at a key press. */
const columnsMax = 20_000
