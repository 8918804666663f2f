/**
 * KalamDB's own statements about users and keys, by recursive descent:
 *
 *   CREATE USER [IF NOT EXISTS] name [[WITH] ROLE role]     DROP USER [IF EXISTS] name
 *   ALTER USER name ROTATE APIKEY                           ALTER USER name [SET] ROLE role
 *   CREATE APIKEY FOR name [EXPIRES 'interval'] [READ ONLY] REVOKE APIKEY 'id'
 *   EXECUTE AS name (statement)                             KILL LIVE QUERY 'id'
 */
import { errorAt, partOf, type Source } from './source.js'
import type { KalamPlan } from './plan.js'
import { roles, type Role } from './roles.js'
import type { TokenReader } from './token-reader.js'

/** The plan, or nothing if the statement is PostgreSQL's. Errors: SYNTAX_ERROR, STATEMENT_REFUSED. */
export function readKalamStatement(reader: TokenReader): KalamPlan | undefined {
  if (isUserMapping(reader)) return undefined
  const place = reader.source.place
  if (reader.isNext('create', 'user')) return { place, ...readCreateUser(reader) }
  if (reader.isNext('alter', 'user')) return { place, ...readAlterUser(reader) }
  if (reader.isNext('drop', 'user')) return { place, ...readDropUser(reader) }
  if (reader.isNext('create', 'apikey')) return { place, ...readCreateKey(reader) }
  if (reader.isNext('revoke', 'apikey')) return readRevokeKey(reader)
  if (reader.isNext('kill', 'live', 'query')) return { place, ...readKill(reader) }
  return undefined
}

/** `EXECUTE AS name (statement)`: who, and the statement as a source of its own. */
export interface ExecuteAs {
  readonly name: string
  readonly inner: Source
}

/** Nothing if the statement is another one. Errors: SYNTAX_ERROR. */
export function readExecuteAs(reader: TokenReader): ExecuteAs | undefined {
  if (!reader.skip('execute', 'as')) return undefined
  const name = readUserName(reader)
  if (!reader.isNext('(')) throw reader.expected('( and a statement')
  const open = reader.take()
  const start = reader.index
  const end = readToClosing(reader)
  reader.expectEnd()
  if (open === undefined || end <= start) {
    throw errorAt(reader.source, start, 'SYNTAX_ERROR', 'expected a statement between ( and )')
  }
  return { name, inner: partOf(reader.source, start, end) }
}

type WithoutPlace<T> = T extends unknown ? Omit<T, 'place'> : never
type PlanOf<Kind extends KalamPlan['kind']> = WithoutPlace<Extract<KalamPlan, { kind: Kind }>>

function readCreateUser(reader: TokenReader): PlanOf<'create-user'> {
  reader.expect('create', 'user')
  const ifNotExists = reader.skip('if', 'not', 'exists')
  const name = readUserName(reader)
  reader.skip('with')
  const role = reader.skip('role') ? readRole(reader) : 'user'
  expectUserEnd(reader, 'ROLE or the end of the statement')
  return { kind: 'create-user', name, role, ifNotExists }
}

function readAlterUser(reader: TokenReader): PlanOf<'rotate-key' | 'alter-user-role'> {
  reader.expect('alter', 'user')
  const name = readUserName(reader)
  if (reader.skip('rotate')) {
    reader.expect('apikey')
    reader.expectEnd()
    return { kind: 'rotate-key', name }
  }
  if (reader.skip('role') || reader.skip('set', 'role')) {
    const role = readRole(reader)
    reader.expectEnd()
    return { kind: 'alter-user-role', name, role }
  }
  refuseRoleOptions(reader)
  throw reader.expected('ROTATE APIKEY or ROLE')
}

function readDropUser(reader: TokenReader): PlanOf<'drop-user'> {
  reader.expect('drop', 'user')
  const ifExists = reader.skip('if', 'exists')
  const name = readUserName(reader)
  reader.expectEnd()
  return { kind: 'drop-user', name, ifExists }
}

function readCreateKey(reader: TokenReader): PlanOf<'create-key'> {
  reader.expect('create', 'apikey', 'for')
  const name = readUserName(reader)
  const expires = reader.skip('expires')
    ? reader.expectText("a time span such as '30 days'")
    : undefined
  const readOnly = reader.skip('read', 'only')
  reader.expectEnd('EXPIRES, READ ONLY or the end of the statement')
  return { kind: 'create-key', name, expires, readOnly }
}

function readRevokeKey(reader: TokenReader): KalamPlan | undefined {
  // A PostgreSQL role may be called apikey: REVOKE apikey FROM …
  const after = reader.textOf(reader.peek(2)).toLowerCase()
  if (after === 'from' || after === ',') return undefined
  reader.expect('revoke', 'apikey')
  const id = reader.expectText("the key's id in single quotes")
  reader.expectEnd()
  return { place: reader.source.place, kind: 'revoke-key', id }
}

function readKill(reader: TokenReader): PlanOf<'kill-live-query'> {
  reader.expect('kill', 'live', 'query')
  const id = reader.expectText("the live query's id in single quotes")
  reader.expectEnd()
  return { kind: 'kill-live-query', id }
}

/** PostgreSQL's CREATE, ALTER and DROP USER MAPPING are another thing. */
function isUserMapping(reader: TokenReader): boolean {
  const isMapping = reader.textOf(reader.peek(2)).toLowerCase() === 'mapping'
  const after = reader.textOf(reader.peek(3)).toLowerCase()
  return isMapping && (after === 'for' || after === 'if')
}

/** Which names are possible is for the catalog to say. */
function readUserName(reader: TokenReader): string {
  return reader.expectName('the name of a user')
}

function readRole(reader: TokenReader): Role {
  const role = roles.find((name) => name === reader.nameOf(reader.peek()))
  if (role === undefined) throw reader.expected('one of the roles user, service, admin')
  reader.take()
  return role
}

function expectUserEnd(reader: TokenReader, expected: string): void {
  refuseRoleOptions(reader)
  reader.expectEnd(expected)
}

/** What PostgreSQL's CREATE and ALTER USER take and KalamDB's do not. */
const roleOptions =
  /^(?:(?:no)?(?:superuser|createdb|createrole|inherit|login|replication|bypassrls)|connection|encrypted|password|valid|in|user|admin|sysid|set|reset|rename)$/

function refuseRoleOptions(reader: TokenReader): void {
  if (!roleOptions.test(reader.textOf(reader.peek()).toLowerCase())) return
  const option = reader.textOf(reader.peek()).toUpperCase()
  const message = `${option} is not available: users of KalamDB are not PostgreSQL roles`
  const hint =
    "A user signs in with an API key: CREATE USER 'alice' [ROLE user|service|admin] makes the first one."
  throw errorAt(reader.source, reader.index, 'STATEMENT_REFUSED', message, { hint })
}

/** Reads up to the parenthesis that closes; returns the end of the last token inside. */
function readToClosing(reader: TokenReader): number {
  let end = 0
  for (let depth = 1; ;) {
    const token = reader.peek()
    if (token === undefined) throw reader.expected(')')
    if (reader.isNext('(')) depth++
    if (reader.isNext(')')) depth--
    reader.take()
    if (depth === 0) return end
    end = token.end
  }
}
