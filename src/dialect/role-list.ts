/**
 * Whom a GRANT, REVOKE or policy is for: KalamDB's words become PostgreSQL roles by splices.
 *
 *   user, service, admin → kalam_user, kalam_service, kalam_admin
 *   'alice'              → the role of that user, which the catalog knows
 *   kalam_user, …,       stay: so PostgreSQL's catalogs call them, and dumps with them
 *   kalam_u_0f2c…
 *   PUBLIC, CURRENT_USER and any other name stay as they are
 */
import type { Splice } from './plan.js'
import { roles } from './roles.js'
import { errorAt } from './source.js'
import type { TokenReader } from './token-reader.js'

/** The splices of a statement's role list; none if it has no such list. Errors: STATEMENT_REFUSED. */
export function readRoleSplices(reader: TokenReader): Splice[] {
  const keyword = roleListKeyword(reader)
  if (keyword === undefined || !skipToKeyword(reader, keyword)) return []
  const splices: Splice[] = []
  do {
    reader.skip('group')
    const splice = readRole(reader)
    if (splice !== undefined) splices.push(splice)
  } while (reader.skip(','))
  return splices
}

/** Roles that are the system's own. */
export function isReservedRole(name: string): boolean {
  return /^(?:kalam_|pg_)|^(?:postgres|kalam|session_user)$/i.test(name)
}

/** The word before the list of roles. */
function roleListKeyword(reader: TokenReader): 'to' | 'from' | undefined {
  if (reader.isNext('grant') || isPolicy(reader)) return 'to'
  if (reader.isNext('revoke')) return 'from'
  if (!reader.isNext('alter', 'default', 'privileges')) return undefined
  return skipToKeyword(reader, 'grant') ? 'to' : 'from'
}

function isPolicy(reader: TokenReader): boolean {
  return reader.isNext('create', 'policy') || reader.isNext('alter', 'policy')
}

/** Reads up to and including a keyword outside of parentheses; if there is none, nothing is read. */
function skipToKeyword(reader: TokenReader, keyword: string): boolean {
  let ahead = 0
  for (let depth = 0; ; ahead++) {
    const token = reader.peek(ahead)
    if (token === undefined) return false
    const text = reader.textOf(token).toLowerCase()
    if (text === '(') depth++
    if (text === ')') depth--
    const isWanted = depth === 0 && token.kind === 'word' && text === keyword
    if (isWanted && reader.textOf(reader.peek(ahead - 1)).toLowerCase() !== 'rename') break
  }
  for (let count = 0; count <= ahead; count++) reader.take()
  return true
}

function readRole(reader: TokenReader): Splice | undefined {
  const token = reader.peek()
  const name = reader.nameOf(token)
  // A name in another spelling, U&"…" or E'…', could hide a role of the system.
  const isQuoted = token?.kind === 'string' || token?.kind === 'quoted-word'
  if (isQuoted && name === undefined) throw reader.expected("a role, or a user such as 'alice'")
  if (token === undefined || name === undefined) return undefined
  const at = { start: token.start, end: token.end }
  if (token.kind === 'word' && roles.some((role) => role === name)) {
    reader.take()
    return { ...at, text: `kalam_${name}` }
  }
  if (token.kind === 'string') {
    reader.take()
    return { ...at, text: { roleOfUser: name } }
  }
  refuseReserved(reader, name)
  reader.take()
  return undefined
}

/** One of the three, or that of a user, which is called by their id. */
function isCallersRole(name: string): boolean {
  return roles.some((role) => name === `kalam_${role}`) || /^kalam_u_[0-9a-f]{32}$/.test(name)
}

function refuseReserved(reader: TokenReader, name: string): void {
  if (!isReservedRole(name) || isCallersRole(name)) return
  const message = `${name} is a role of the system`
  const hint = "Name roles as user, service, admin or PUBLIC, and users in single quotes: 'alice'."
  throw errorAt(reader.source, reader.index, 'STATEMENT_REFUSED', message, { hint })
}
