import type { Discarded, SessionEffect } from './plan.js'
import { fieldsOf, type Fields, type Statement } from './syntax-tree.js'

/** What a statement does to its session, beside what PostgreSQL does. */
export function sessionEffect({ node }: Statement): SessionEffect | undefined {
  const set = fieldsOf(node, 'VariableSetStmt')
  if (set !== undefined) return roleEffect(set)
  const listen = fieldsOf(node, 'ListenStmt')?.conditionname
  if (listen !== undefined) return { kind: 'listen', channel: listen }
  const unlisten = fieldsOf(node, 'UnlistenStmt')
  if (unlisten !== undefined) return unlistenEffect(unlisten)
  const prepare = fieldsOf(node, 'PrepareStmt')?.name
  if (prepare !== undefined) return { kind: 'prepare', name: prepare }
  const execute = fieldsOf(node, 'ExecuteStmt')?.name
  if (execute !== undefined) return { kind: 'execute', name: execute }
  const deallocate = fieldsOf(node, 'DeallocateStmt')
  if (deallocate !== undefined) return deallocateEffect(deallocate)
  const close = fieldsOf(node, 'ClosePortalStmt')
  if (close !== undefined) return closeEffect(close)
  const declare = fieldsOf(node, 'DeclareCursorStmt')
  if (declare?.portalname !== undefined)
    return { kind: 'declare', name: declare.portalname, isHeld: isHeld(declare) }
  const transaction = fieldsOf(node, 'TransactionStmt')
  if (transaction !== undefined) return savepointEffect(transaction)
  const discard = fieldsOf(node, 'DiscardStmt')
  return discard && { kind: 'discard', what: discarded.get(discard.target ?? '') ?? 'all' }
}

const discarded = new Map<string, Discarded>([
  ['DISCARD_PLANS', 'plans'],
  ['DISCARD_SEQUENCES', 'sequences'],
  ['DISCARD_TEMP', 'temp'],
])

const savepoints = new Map<string, 'savepoint' | 'roll-back-to' | 'release'>([
  ['TRANS_STMT_SAVEPOINT', 'savepoint'],
  ['TRANS_STMT_ROLLBACK_TO', 'roll-back-to'],
  ['TRANS_STMT_RELEASE', 'release'],
])

function savepointEffect({
  kind = 'TRANS_STMT_BEGIN',
  savepoint_name: name = '',
}: Fields<'TransactionStmt'>): SessionEffect | undefined {
  const effect = savepoints.get(kind)
  return effect && { kind: effect, name }
}

/** Only what asks for no other role is allowed at all. */
function roleEffect({ name, kind }: Fields<'VariableSetStmt'>): SessionEffect | undefined {
  if (name !== 'role' && name !== 'session_authorization') return undefined
  return { kind: 'none', command: kind === 'VAR_RESET' ? 'RESET' : 'SET' }
}

function unlistenEffect({ conditionname }: Fields<'UnlistenStmt'>): SessionEffect {
  return conditionname === undefined
    ? { kind: 'unlisten-all' }
    : { kind: 'unlisten', channel: conditionname }
}

function closeEffect({ portalname }: Fields<'ClosePortalStmt'>): SessionEffect {
  return portalname === undefined ? { kind: 'close-all' } : { kind: 'close', name: portalname }
}

/** WITH HOLD; parsenodes.h, CURSOR_OPT_HOLD. */
function isHeld({ options = 0 }: Fields<'DeclareCursorStmt'>): boolean {
  return (options & 0x20) !== 0
}

function deallocateEffect({ name, isall }: Fields<'DeallocateStmt'>): SessionEffect | undefined {
  if (isall === true) return { kind: 'deallocate-all' }
  return name === undefined ? undefined : { kind: 'deallocate', name }
}
