/** Reads the log of changes that the triggers of tables write, `kalam.changes`. */
import type { QueryRunner } from '../engine/queries.js'
import { DbError, assert } from '../errors.js'
import { Change, type ChangeBatch, type ChangeKind } from './change.js'
import { sequenceOf, type Sequence } from './sequence.js'

export interface ChangeLogOptions {
  /** Most changes of one read. */
  readonly rowsMax: number
  /** Bytes that a read aims at; the next is sized by the rows of the one before. */
  readonly bytes: number
}

/** What there is of the log now. */
export interface LogState {
  readonly incarnation: string
  /** The newest change. */
  readonly position: Sequence
  /** Retention has taken changes up to here. */
  readonly forgotten: Sequence
}

/** What a read may grow by from one to the next, whatever its rows are like. */
const growth = 4
const firstRows = 250

export class ChangeLog {
  readonly #queries: QueryRunner
  readonly #options: ChangeLogOptions
  #rowBytes = 0

  constructor(queries: QueryRunner, options: ChangeLogOptions) {
    this.#queries = queries
    this.#options = options
  }

  async state(): Promise<LogState> {
    const { rows } = await this.#queries.query(
      'select incarnation, kalam.log_position(), forgotten from kalam.log',
    )
    const [incarnation, position, forgotten] = rows[0] ?? []
    assert(typeof incarnation === 'string', 'kalam.log has its row')
    return { incarnation, position: sequenceOf(position), forgotten: sequenceOf(forgotten) }
  }

  /** The newest change's place. Nothing but the engine's own order tells what is before it. */
  async position(): Promise<Sequence> {
    const { rows } = await this.#queries.query('select kalam.log_position()')
    return sequenceOf(rows[0]?.[0])
  }

  /** Changes after `position`; with `tableId` those of other tables come without their rows. */
  async readAfter(position: Sequence, tableId?: number): Promise<ChangeBatch> {
    for (let rows = this.#rows(); ; rows = Math.ceil(rows / growth)) {
      try {
        return await this.#read(position, rows, tableId)
      } catch (error) {
        const isTooLarge = error instanceof DbError && error.code === 'RESULT_TOO_LARGE'
        if (!isTooLarge || rows === 1) throw error
      }
    }
  }

  async #read(position: Sequence, max: number, tableId: number | undefined): Promise<ChangeBatch> {
    const { rows } = await this.#queries.query('select * from kalam.changes_after($1, $2, $3)', [
      String(position),
      String(max),
      tableId === undefined ? null : String(tableId),
    ])
    const changes = rows.map(changeOf)
    this.#learn(rows)
    const complete = changes.length < max
    return { changes, position: changes.at(-1)?.sequence ?? position, complete }
  }

  #rows(): number {
    if (this.#rowBytes === 0) return Math.min(firstRows, this.#options.rowsMax)
    const fitting = Math.floor(this.#options.bytes / this.#rowBytes)
    return Math.max(1, Math.min(this.#options.rowsMax, fitting))
  }

  #learn(rows: readonly (readonly (string | null)[])[]): void {
    if (rows.length === 0) return
    const units = rows.reduce(
      (sum, row) => sum + (row[5]?.length ?? 0) + (row[6]?.length ?? 0) + 64,
      0,
    )
    this.#rowBytes = Math.max(units / rows.length, this.#rowBytes / growth)
  }
}

function changeOf(row: readonly (string | null)[]): Change {
  const [sequence, tableId, version, kind, owner = null, old = null, latest = null] = row
  const transaction = row[7] ?? ''
  return new Change({
    sequence: sequenceOf(sequence),
    tableId: Number(tableId),
    version: Number(version),
    // The column's own values.
    kind: kind as ChangeKind,
    owner,
    transaction,
    old,
    new: latest,
  })
}
