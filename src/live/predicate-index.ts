/**
 * Which queries a change can concern: table → owner → column → value → queries. A query stands
 * under one condition that all its rows fulfil, or under none. Finding costs the same for ten
 * thousand queries as for one, as long as conditions tell them apart.
 */
import type { Change, Image } from '../changes/change.js'

/** Where a query stands for one of its tables. */
export interface IndexEntry {
  readonly tableId: number
  /** Only rows of this user can be in it. */
  readonly owner: string | undefined
  /** It needs this column to hold one of these texts. */
  readonly condition: IndexCondition | undefined
}

export interface IndexCondition {
  /** Place in the images of the table. */
  readonly column: number
  readonly values: readonly string[]
}

export class PredicateIndex<Query> {
  readonly #tables = new Map<number, TableQueries<Query>>()

  add(entry: IndexEntry, query: Query): void {
    let table = this.#tables.get(entry.tableId)
    if (table === undefined) this.#tables.set(entry.tableId, (table = new TableQueries()))
    table.add(entry, query)
  }

  remove(entry: IndexEntry, query: Query): void {
    const table = this.#tables.get(entry.tableId)
    table?.remove(entry, query)
    if (table?.isEmpty === true) this.#tables.delete(entry.tableId)
  }

  /** Whether any query reads the table. */
  has(tableId: number): boolean {
    return this.#tables.has(tableId)
  }

  /** Adds to `found` the queries whose result the change of a row may change. */
  find(change: Change, found: Set<Query>): void {
    this.#tables.get(change.tableId)?.find(change, found)
  }

  /** Adds to `found` all queries of the table. */
  findAll(tableId: number, found: Set<Query>): void {
    this.#tables.get(tableId)?.findAll(found)
  }
}

class TableQueries<Query> {
  /** Under no owner, the key is undefined. */
  readonly #owners = new Map<string | undefined, OwnerQueries<Query>>()

  get isEmpty(): boolean {
    return this.#owners.size === 0
  }

  add({ owner, condition }: IndexEntry, query: Query): void {
    let queries = this.#owners.get(owner)
    if (queries === undefined) this.#owners.set(owner, (queries = new OwnerQueries()))
    queries.add(condition, query)
  }

  remove({ owner, condition }: IndexEntry, query: Query): void {
    const queries = this.#owners.get(owner)
    queries?.remove(condition, query)
    if (queries?.isEmpty === true) this.#owners.delete(owner)
  }

  find(change: Change, found: Set<Query>): void {
    this.#owners.get(undefined)?.find(change, found)
    if (change.owner !== null) this.#owners.get(change.owner)?.find(change, found)
  }

  findAll(found: Set<Query>): void {
    for (const queries of this.#owners.values()) queries.findAll(found)
  }
}

class OwnerQueries<Query> {
  readonly #unconditional = new Set<Query>()
  readonly #columns = new Map<number, Map<string, Set<Query>>>()

  get isEmpty(): boolean {
    return this.#unconditional.size === 0 && this.#columns.size === 0
  }

  add(condition: IndexCondition | undefined, query: Query): void {
    if (condition === undefined) {
      this.#unconditional.add(query)
      return
    }
    let values = this.#columns.get(condition.column)
    if (values === undefined)
      this.#columns.set(condition.column, (values = new Map<string, Set<Query>>()))
    for (const value of condition.values) {
      const queries = values.get(value)
      if (queries === undefined) values.set(value, new Set([query]))
      else queries.add(query)
    }
  }

  remove(condition: IndexCondition | undefined, query: Query): void {
    this.#unconditional.delete(query)
    if (condition === undefined) return
    const values = this.#columns.get(condition.column)
    for (const value of condition.values) {
      const queries = values?.get(value)
      queries?.delete(query)
      if (queries?.size === 0) values?.delete(value)
    }
    if (values?.size === 0) this.#columns.delete(condition.column)
  }

  find(change: Change, found: Set<Query>): void {
    for (const query of this.#unconditional) found.add(query)
    for (const [column, values] of this.#columns) {
      addAt(values, column, change.old, found)
      addAt(values, column, change.new, found)
    }
  }

  findAll(found: Set<Query>): void {
    for (const query of this.#unconditional) found.add(query)
    for (const values of this.#columns.values())
      for (const queries of values.values()) for (const query of queries) found.add(query)
  }
}

function addAt<Query>(
  values: ReadonlyMap<string, ReadonlySet<Query>>,
  column: number,
  image: Image | undefined,
  found: Set<Query>,
): void {
  const value = image?.[column]
  if (value === undefined || value === null) return
  for (const query of values.get(value) ?? []) found.add(query)
}
