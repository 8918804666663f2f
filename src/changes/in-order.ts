/**
 * What one statement did to a row by way of triggers that fired triggers may stand in the log in
 * another order than it was done in; only the last entry of a key is sure to tell its state. Here
 * such entries become one: from what the row was before to what it is after.
 */
import type { Change } from './change.js'
import { RowStates } from './row-states.js'

/** Names the row of a change; undefined for what is to be left as it is. */
export type KeyOf = (change: Change) => string | undefined

/** A row as the log's text; null for no row. */
type State = string | null

/** A transaction of which there may be more to come, and how it has left the rows so far. */
export interface OpenTransaction {
  readonly transaction: string
  readonly states: RowStates
}

/** None: what comes begins with a new transaction. */
export const noTransaction: OpenTransaction = { transaction: '', states: new RowStates() }

export interface InOrder {
  /** The same list if all of it is in order. */
  readonly changes: readonly Change[]
  /** For what follows of the last transaction. */
  readonly open: OpenTransaction
  /** Tables with changes that do not go on from where `open` left their key: what was told is wrong. */
  readonly broken: ReadonlySet<number>
}

/**
 * Puts a batch of the log in order, key by key. `open`: of the batch before, if its last transaction
 * may go on in this one. It is taken over, as a large transaction has many keys and many batches.
 */
export function inOrder(
  changes: readonly Change[],
  keyOf: KeyOf,
  open: OpenTransaction = noTransaction,
): InOrder {
  const after = new Map<string, State>()
  const disordered = new Set<string>()
  const broken = new Set<number>()
  for (const change of changes) {
    const key = keyOf(change)
    if (key === undefined) continue
    const before = after.get(key)
    const goesOn =
      before === undefined ? open.states.isLeftAs(key, change.oldText) : before === change.oldText
    if (goesOn === false) {
      disordered.add(key)
      if (open.states.has(key)) broken.add(change.tableId)
    }
    after.set(key, change.newText)
  }
  return {
    changes: disordered.size === 0 ? changes : settled(changes, keyOf, disordered),
    open: stillOpen(changes, keyOf, open),
    broken,
  }
}

function stillOpen(
  changes: readonly Change[],
  keyOf: KeyOf,
  before: OpenTransaction,
): OpenTransaction {
  const transaction = changes.at(-1)?.transaction
  if (transaction === undefined) return before
  const states = before.transaction === transaction ? before.states : new RowStates()
  for (const change of changes) {
    const key = change.transaction === transaction ? keyOf(change) : undefined
    if (key !== undefined) states.set(key, change.newText)
  }
  return { transaction, states }
}

/** One change in the place of a disordered key's last. */
function settled(
  changes: readonly Change[],
  keyOf: KeyOf,
  disordered: ReadonlySet<string>,
): readonly Change[] {
  const ofKey = new Map<string, Change[]>()
  for (const change of changes) {
    const key = keyOf(change)
    if (key === undefined || !disordered.has(key)) continue
    const known = ofKey.get(key)
    if (known === undefined) ofKey.set(key, [change])
    else known.push(change)
  }
  return changes.flatMap((change) => {
    const all = ofKey.get(keyOf(change) ?? '')
    if (all === undefined) return [change]
    return all.at(-1) === change ? net(all, change) : []
  })
}

function net(all: readonly Change[], last: Change): readonly Change[] {
  const old = firstState(all, last.newText)
  if (old === last.newText) return []
  return [last.from(old)]
}

/**
 * Changes of a row are a path of states, each begun where another ended. Whatever order they are
 * written down in, the state that was left once more often than it was reached is the first; if
 * there is none, the path ends where it began.
 */
function firstState(all: readonly Change[], end: State): State {
  const left = new Map<State, number>()
  for (const { oldText, newText } of all) {
    left.set(oldText, (left.get(oldText) ?? 0) + 1)
    left.set(newText, (left.get(newText) ?? 0) - 1)
  }
  for (const [state, count] of left) if (count > 0) return state
  return end
}
