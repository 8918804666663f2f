/** What is live: the table, its queries, and what the bench needs of a system that keeps them so. */

export interface Todo {
  readonly id: number
  readonly owner: string
  readonly n: number
  readonly title: string
}

/**
 * `evaluated`: a window that must be computed anew; `follow`: every row that matches, which is told
 * change by change. Both are of one owner, `$1`.
 */
export type Form = 'evaluated' | 'follow'

export const querySql: Readonly<Record<Form, string>> = {
  evaluated: 'select id, owner, n, title from todo where owner = $1 order by n desc limit 50',
  follow: 'select id, owner, n, title from todo where owner = $1',
}

/** Rows of the window, and of each owner at the start: every insert pushes one out. */
export const windowRows = 50

/** Run once, as the owner of everything: `windowRows` rows for each of so many owners. */
export function setupStatements(owners: number): readonly string[] {
  return [
    'CREATE TABLE todo (id int PRIMARY KEY, owner text NOT NULL, n int NOT NULL, title text NOT NULL)',
    `INSERT INTO todo SELECT n, 'u' || n % ${owners}, n, 'todo ' || n
     FROM generate_series(1, ${owners * windowRows}) AS n`,
    'CREATE INDEX todo_owner_n ON todo (owner, n DESC)',
    'ANALYZE todo',
  ]
}

export const insertSql = 'INSERT INTO todo (id, owner, n, title) VALUES ($1, $2, $3, $4)'

/** Inserted ids start here. `n` is the id, so that what is new stands first. */
export const insertedFrom = 10_000_000

export function newTodo(id: number, owner: string): Todo {
  return { id, owner, n: id, title: `todo ${id}` }
}

export interface LiveSystem {
  /** One live query for each owner; resolves when all have their first rows. */
  subscribe(options: SubscribeOptions): Promise<void>
  /** Resolves when the database has acknowledged it. `lane` tells those in flight apart. */
  insert(todo: Todo, lane: number): Promise<void>
  /** Ids that the client of this owner's live query holds now, in any order. */
  held(owner: string): readonly number[]
  /** The same from the database, by the query itself. */
  stored(owner: string, form: Form): Promise<readonly number[]>
  unsubscribe(): Promise<void>
  close(): Promise<void>
}

export interface SubscribeOptions {
  readonly form: Form
  readonly owners: readonly string[]
  /** Told of each row that came in after the first ones; rows may be told again. */
  readonly see: (todo: Todo) => void
}
