/**
 * Carries out KalamDB's own statements and gives their results the form of PostgreSQL's: columns
 * and rows of text.
 */
import type { KalamPlan } from '../dialect/plan.js'
import type { Column } from '../engine/statement.js'
import type { User, UserAndKey, Users } from './users.js'

export interface KalamResult {
  /** `CREATE USER`. */
  readonly command: string
  readonly columns: readonly Column[]
  /** Values as PostgreSQL's text. */
  readonly rows: readonly (readonly (string | null)[])[]
}

/** What is about users and keys. */
export type CatalogPlan = Exclude<KalamPlan, { readonly kind: 'kill-live-query' }>

/** Runs the statement. Errors: those of `Users`. */
export async function runKalamPlan(users: Users, plan: CatalogPlan): Promise<KalamResult> {
  switch (plan.kind) {
    case 'create-user':
      return withKey('CREATE USER', await users.createUser(plan))
    case 'drop-user':
      return dropped(await users.dropUser(plan.name, plan))
    case 'alter-user-role':
      return { command: 'ALTER USER', ...userRows([await users.setRole(plan.name, plan.role)]) }
    case 'rotate-key':
      return withKey('ALTER USER', await users.rotateKey(plan.name))
    case 'create-key':
      return createKey(users, plan)
    case 'revoke-key':
      return revokeKey(users, plan.id)
  }
}

/** The columns of its result, which are known before it runs. */
export function kalamColumns({ kind }: CatalogPlan): readonly Column[] {
  switch (kind) {
    case 'create-user':
    case 'rotate-key':
      return userAndKeyColumns
    case 'drop-user':
    case 'alter-user-role':
      return userColumns
    case 'create-key':
      return keyColumns
    case 'revoke-key':
      return revokedColumns
  }
}

/** OIDs of pg_type, the same in every PostgreSQL. */
const typeOids = { boolean: 16, text: 25, timestamptz: 1184 } as const

function texts(...names: readonly string[]): readonly Column[] {
  return names.map((name) => ({ name, typeOid: typeOids.text }))
}

const userColumns = texts('user_id', 'name', 'role')
const userAndKeyColumns = texts('user_id', 'name', 'role', 'apikey')
const revokedColumns = texts('id', 'user_id', 'name')
const keyColumns: readonly Column[] = [
  ...texts('id', 'user_id', 'name', 'apikey'),
  { name: 'read_only', typeOid: typeOids.boolean },
  { name: 'expires_at', typeOid: typeOids.timestamptz },
]

function userRows(users: readonly User[]): Pick<KalamResult, 'columns' | 'rows'> {
  return {
    columns: userColumns,
    rows: users.map(({ userId, name, role }) => [userId, name, role]),
  }
}

function withKey(command: string, { userId, name, role, apikey }: UserAndKey): KalamResult {
  return { command, columns: userAndKeyColumns, rows: [[userId, name, role, apikey]] }
}

function dropped(user: User | undefined): KalamResult {
  return { command: 'DROP USER', ...userRows(user === undefined ? [] : [user]) }
}

async function createKey(
  users: Users,
  plan: Extract<KalamPlan, { kind: 'create-key' }>,
): Promise<KalamResult> {
  const { keyId, userId, name, apikey, readOnly, expiresAt } = await users.createKey(plan)
  return {
    command: 'CREATE APIKEY',
    columns: keyColumns,
    rows: [[keyId, userId, name, apikey, readOnly ? 't' : 'f', expiresAt]],
  }
}

async function revokeKey(users: Users, id: string): Promise<KalamResult> {
  const { keyId, userId, name } = await users.revokeKey(id)
  return { command: 'REVOKE APIKEY', columns: revokedColumns, rows: [[keyId, userId, name]] }
}
