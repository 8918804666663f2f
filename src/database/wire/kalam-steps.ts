/**
 * KalamDB's own statements in a session. The catalog carries them out between transactions; their
 * result goes through PostgreSQL as a SELECT of values, which gives it whatever format is asked for.
 */
import { kalamColumns, runKalamPlan, type KalamResult } from '../../catalog/kalam-statements.js'
import type { Column } from '../../engine/statement.js'
import type { TextValue } from '../../engine/frontend-messages.js'
import type { KalamPlan, Plan } from '../../dialect/plan.js'
import { quoteIdentifier } from '../../dialect/compose-text.js'
import { DbError } from '../../errors.js'
import type { Caller } from '../database.js'
import type { RunnerRooms } from '../statement-runner.js'

export function isKalam(plan: Plan): plan is KalamPlan {
  return plan.kind !== 'sql' && plan.kind !== 'execute-as'
}

/** A text with the columns of its result, for PostgreSQL to describe; empty if it has no result. */
export function describingText(plan: KalamPlan): string {
  return plan.kind === 'kill-live-query' ? '' : selectValues(kalamColumns(plan), undefined)
}

/** What it answers: rows as a text with one `$n` for each value, all of them text. */
export interface KalamAnswer {
  readonly command: string
  readonly text: string
  readonly values: readonly TextValue[]
}

/** Carries it out. Errors: NOT_FOUND, ALREADY_EXISTS, QUERY_REJECTED; the engine's. */
export async function runKalam(
  rooms: RunnerRooms,
  plan: KalamPlan,
  caller: Caller,
): Promise<KalamAnswer> {
  const result =
    plan.kind === 'kill-live-query'
      ? kill(rooms, plan.id, caller)
      : await runKalamPlan(rooms.users, plan)
  const { command, columns, rows } = result
  const [row] = rows
  return {
    command,
    text: columns.length === 0 ? '' : selectValues(columns, row),
    values: row ?? [],
  }
}

/** Others' live queries are not there for those who may not end them. */
function kill(rooms: RunnerRooms, id: string, { role, userId }: Caller): KalamResult {
  const isEnded = rooms.live.end(id, (owner) => role === 'admin' || owner === userId)
  if (!isEnded) throw new DbError('NOT_FOUND', `there is no live query '${id}'`)
  return { command: 'KILL LIVE QUERY', columns: [], rows: [] }
}

/** No KalamDB statement answers more than one row. */
function selectValues(columns: readonly Column[], row: readonly TextValue[] | undefined): string {
  const values = columns.map(({ name, typeOid }, index) => {
    const type = typeNames.get(typeOid) ?? 'text'
    const value = row === undefined ? 'null' : `$${index + 1}`
    return `${value}::pg_catalog.${type} as ${quoteIdentifier(name)}`
  })
  return `select ${values.join(', ')}${row === undefined ? ' where false' : ''}`
}

const typeNames = new Map([
  [16, 'bool'],
  [25, 'text'],
  [1184, 'timestamptz'],
])
