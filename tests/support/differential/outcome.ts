/** What a request did, in a form in which both sides can be equal. */

export interface Outcome {
  /** Of every statement; empty after an error, which takes the place of all of them. */
  readonly results: readonly Result[]
  readonly error?: Failure
}

export interface Result {
  readonly command: string
  readonly count: number
  /** `id int4`. */
  readonly columns: readonly string[]
  /** JSON of each row, sorted: an order that nobody asked for is nobody's promise. */
  readonly rows: readonly string[]
}

export interface Failure {
  /** From 0; absent: at the commit that ends the request. */
  readonly statement: number | undefined
  readonly sqlstate: string
  readonly message: string
  /** Characters into the text of all statements, from 1. */
  readonly position: number | undefined
}

/** Columns that a managed table has beyond those of its CREATE. */
const systemColumns = new Set(['_user_id', '_deleted', '_deleted_at', '_deleted_by'])

export interface RawResult {
  readonly command: string
  readonly count: number
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  readonly rows: readonly (readonly unknown[])[]
}

/** Leaves the system columns out. */
export function resultOf({ command, count, columns, rows }: RawResult): Result {
  const kept = columns.flatMap(({ name }, index) => (systemColumns.has(name) ? [] : [index]))
  return {
    command,
    count,
    columns: kept.map((index) => `${columns[index]?.name} ${columns[index]?.type}`),
    rows: rows.map((row) => JSON.stringify(kept.map((index) => row[index]))).sort(),
  }
}

/** A way in which the native PostgreSQL at hand is older than the embedded one. */
interface KnownDifference {
  readonly name: string
  /** Native versions before this have the old way. */
  readonly since: number
  readonly newWay: (failure: Failure) => Failure
}

const knownDifferences: readonly KnownDifference[] = [
  {
    name: 'a key held by ON DELETE RESTRICT has an SQLSTATE and a wording of its own',
    since: 18,
    newWay: (failure) => {
      const match =
        /^update or delete on table ("\w+") violates foreign key constraint ("entry_code_fkey") on table ("\w+")$/u.exec(
          failure.message,
        )
      if (failure.sqlstate !== '23503' || match === null) return failure
      const message = `update or delete on table ${match[1]} violates RESTRICT setting of foreign key constraint ${match[2]} on table ${match[3]}`
      return { ...failure, sqlstate: '23001', message }
    },
  },
]

/** What the native side's error would be in the newest PostgreSQL. */
export function inNewWay(failure: Failure, nativeVersion: string): Failure {
  return knownDifferences
    .filter(({ since }) => Number.parseInt(nativeVersion) < since)
    .reduce((changed, { newWay }) => newWay(changed), failure)
}
