/** Committed changes of one table as typed events, for code that embeds the server. */
import { concatMap, defer, from, map, Observable, switchMap } from 'rxjs'
import { changeFeed } from '../changes/change-feed.js'
import type { Change, ChangeBatch, Image } from '../changes/change.js'
import type { ChangeLog, LogState } from '../changes/change-log.js'
import { formatCursor, parseCursor } from '../changes/cursor.js'
import { inOrder } from '../changes/in-order.js'
import type { Sequence } from '../changes/sequence.js'
import type { Engine } from '../engine/engine.js'
import type { Queries } from '../engine/queries.js'
import { DbError } from '../errors.js'
import { keyOfRows, placesOf } from '../live/follow-plan.js'
import type { Relation, TableCatalog } from '../live/table-catalog.js'
import { ByteSink } from '../protocol/byte-sink.js'
import type { ResultColumn } from '../protocol/type-info.js'
import { encodeValue } from '../protocol/value-json.js'
import type { ColumnTypes } from './column-types.js'

/** A row by the names of its columns; values by the table of docs/protocol.md. */
export type ChangedRow = Readonly<Record<string, unknown>>

export type TableChange = {
  /** Pass it as `after` to go on after this change. */
  readonly cursor: string
  /** Id of the user whose row it is; null for tables that are not kept per user. */
  readonly owner: string | null
} & (
  | { readonly kind: 'insert'; readonly new: ChangedRow }
  | { readonly kind: 'update'; readonly old: ChangedRow; readonly new: ChangedRow }
  | { readonly kind: 'delete'; readonly old: ChangedRow }
)

export interface TableChangesRooms {
  readonly engine: Pick<Engine, 'onCommit'>
  readonly queries: Queries
  readonly columnTypes: ColumnTypes
  readonly log: ChangeLog
  readonly catalog: TableCatalog
}

/**
 * Every change of the table from now on, or after a cursor, in commit order, each once. It ends in an
 * error: NOT_FOUND (the table is not there any more, or the log does not reach back to `after`),
 * BAD_REQUEST (no cursor of this log), or the engine's; subscribe again with the last cursor.
 */
export function tableChanges(
  rooms: TableChangesRooms,
  table: string,
  after?: string,
): Observable<TableChange> {
  return defer(() => from(open(rooms, table, after))).pipe(
    switchMap(({ reader, start, incarnation }) =>
      changeFeed({
        from: start,
        readAfter: (position) => rooms.log.readAfter(position, reader.tableId),
        commits: new Observable((subscriber) => rooms.engine.onCommit(() => subscriber.next())),
      }).pipe(
        concatMap((batch) => from(reader.read(batch))),
        concatMap((changes) => from(changes)),
        map(({ sequence, event }) => ({
          ...event,
          cursor: formatCursor({ incarnation, sequence }),
        })),
      ),
    ),
  )
}

async function open(rooms: TableChangesRooms, table: string, after: string | undefined) {
  const state = await rooms.log.state()
  const reader = await TableReader.open(rooms, table)
  const start = startOf(state, after)
  if (after !== undefined && start < reader.since) throw expired()
  return { reader, start, incarnation: state.incarnation }
}

function startOf(state: LogState, after: string | undefined): Sequence {
  if (after === undefined) return state.position
  const cursor = parseCursor(after)
  const isOwn = cursor?.incarnation === state.incarnation && cursor.sequence <= state.position
  if (!isOwn) throw new DbError('BAD_REQUEST', 'the cursor is none of this log')
  if (cursor.sequence >= state.forgotten) return cursor.sequence
  throw expired()
}

function expired(): DbError {
  return new DbError('NOT_FOUND', 'the log of changes does not reach back to the cursor', {
    hint: 'changes.retention_hours and changes.retention_bytes are the bounds',
  })
}

type TableEvent =
  | { readonly kind: 'insert'; readonly owner: string | null; readonly new: ChangedRow }
  | {
      readonly kind: 'update'
      readonly owner: string | null
      readonly old: ChangedRow
      readonly new: ChangedRow
    }
  | { readonly kind: 'delete'; readonly owner: string | null; readonly old: ChangedRow }

interface ReadEvent {
  readonly sequence: Sequence
  readonly event: TableEvent
}

/** Knows the table's columns, and learns them anew when they change. */
class TableReader {
  readonly tableId: number
  /** Changes before it may not be in the log: a plain table is logged from its first watcher on. */
  readonly since: number
  readonly #rooms: TableChangesRooms
  #relation: Relation
  #columns: readonly ResultColumn[]

  static async open(rooms: TableChangesRooms, table: string): Promise<TableReader> {
    const relation = await findTable(rooms, await splitName(rooms.queries, table))
    if (relation.logged === undefined) await rooms.catalog.watch(relation)
    const known = relation.logged === undefined ? await findTable(rooms, relation) : relation
    return new TableReader(rooms, known, await imageColumns(rooms, known))
  }

  private constructor(
    rooms: TableChangesRooms,
    relation: Relation,
    columns: readonly ResultColumn[],
  ) {
    if (relation.logged === undefined) throw notLogged(relation)
    const { id, kind, since } = relation.logged
    this.tableId = id
    this.since = kind === 'plain' ? since : 0
    this.#rooms = rooms
    this.#relation = relation
    this.#columns = columns
  }

  async read({ changes }: ChangeBatch): Promise<readonly ReadEvent[]> {
    const events: ReadEvent[] = []
    const own = changes.filter(({ tableId }) => tableId === this.tableId)
    for (const change of this.#inOrder(own)) {
      if (change.kind === 'X') throw notLogged(this.#relation)
      if (change.version !== this.#relation.logged?.version) await this.#learn()
      const event = this.#eventOf(change)
      if (event !== undefined) events.push({ sequence: change.sequence, event })
    }
    return events
  }

  /** What triggers did to the rows of one statement may be logged in another order. */
  #inOrder(changes: readonly Change[]): readonly Change[] {
    const { logged, key } = this.#relation
    if (logged === undefined || key.length === 0) return changes
    const keyOf = keyOfRows({ table: logged, places: placesOf(this.#relation) })
    return inOrder(changes, keyOf).changes
  }

  /** Changes of a shape that is gone are told by the names that their places have now. */
  async #learn(): Promise<void> {
    this.#relation = await findTable(this.#rooms, this.#relation)
    this.#columns = await imageColumns(this.#rooms, this.#relation)
  }

  #eventOf(change: Change): TableEvent | undefined {
    const { owner, old, new: latest } = change
    if (latest !== undefined && old !== undefined)
      return { kind: 'update', owner, old: this.#rowOf(old), new: this.#rowOf(latest) }
    if (latest !== undefined) return { kind: 'insert', owner, new: this.#rowOf(latest) }
    return old === undefined ? undefined : { kind: 'delete', owner, old: this.#rowOf(old) }
  }

  #rowOf(image: Image): ChangedRow {
    return Object.fromEntries(
      this.#columns.map(({ name, type }, index) => [name, valueOf(type, image[index] ?? null)]),
    )
  }
}

function valueOf(type: ResultColumn['type'], text: string | null): unknown {
  if (text === null) return null
  const source = Buffer.from(text)
  const out = new ByteSink(source.length * 2 + 16)
  encodeValue(type, source, 0, source.length, out)
  return JSON.parse(Buffer.from(out.bytes.subarray(0, out.length)).toString('utf8'))
}

async function imageColumns(
  { columnTypes, queries }: TableChangesRooms,
  relation: Relation,
): Promise<readonly ResultColumn[]> {
  const { columns: places } = placesOf(relation)
  const columns = relation.columns.filter(({ name }) => (places.get(name) ?? -1) >= 0)
  return columnTypes.resolve(columns, queries)
}

/** As SQL names it: `app.todos`; without a namespace in `public`. */
async function splitName(queries: Queries, table: string) {
  const { rows } = await queries.query('select unnest(parse_ident($1))', [table])
  const [name, schema] = rows.map(([part]) => part ?? '').reverse()
  return { schema: schema ?? 'public', name: name ?? '' }
}

async function findTable(
  { catalog }: TableChangesRooms,
  { schema, name }: { readonly schema: string; readonly name: string },
): Promise<Relation> {
  const relation = await catalog.relation({ schema, name })
  if (relation?.relkind === 'r') return relation
  throw new DbError('NOT_FOUND', `there is no table ${schema}.${name}`)
}

function notLogged({ schema, name }: Relation): DbError {
  return new DbError('NOT_FOUND', `there is no table ${schema}.${name} any more`)
}
