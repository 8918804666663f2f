/**
 * Which of PostgreSQL's settings a statement may set. The second wall: what a setting could do to
 * other callers is also prevented below SQL, where PostgreSQL itself allows that.
 */
import type { PlanContext } from './plan.js'
import type { Refusal } from './refusal.js'

/** `SET name = values`, `SET name TO DEFAULT` or `RESET name`; a name as PostgreSQL folds it. */
export interface SettingChange {
  readonly name: string
  /** As text; empty for DEFAULT and RESET. */
  readonly values: readonly string[]
  /** In a function's SET clause, where it ends with the function. */
  readonly inFunction: boolean
}

/** Why this change is refused, or nothing. */
export function refuseSetting(change: SettingChange, context: PlanContext): Refusal | undefined {
  const name = change.name.toLowerCase()
  if (name === 'row_security') return refuseRowSecurity(change, context)
  if (name === 'search_path') return refuseSearchPath(change)
  if (context.door === 'postgres' && isNoChange(name, change)) return undefined
  const rule = neverSettings.get(name) ?? reservedRule(name)
  if (rule !== undefined) return isHarmless(rule, change) ? undefined : refusal(name, rule)
  const format = change.inFunction ? undefined : httpFormats.get(name)
  if (format !== undefined && context.door === 'http') {
    return isHarmless(format, change) ? undefined : refusal(name, format)
  }
  return refuseByCaller(name, context)
}

/** It asks for what is so anyway: no role but the session's own, text as bytes that are UTF-8. */
function isNoChange(name: string, change: SettingChange): boolean {
  if (change.inFunction) return false
  const rule = noChanges.get(name)
  return rule !== undefined && isHarmless(rule, change)
}

const noChanges = new Map<string, SettingRule>([
  ['role', { reason: '', allowed: ['none'], mayReset: true }],
  ['session_authorization', { reason: '', mayReset: true }],
  ['client_encoding', { reason: '', allowed: ['sql_ascii'] }],
])

/** Names are looked up in no schema of the system that statements may not name. */
function refuseSearchPath({ values }: SettingChange): Refusal | undefined {
  const reserved = values.find((schema) => /^kalam(_|$)/.test(schema))
  if (reserved === undefined) return undefined
  const message = `SET search_path is refused: schema ${reserved} belongs to the system`
  return { code: 'STATEMENT_REFUSED', message }
}

/** Off, an admin's statements see the rows of all users, for the rest of the request at most. */
function refuseRowSecurity(change: SettingChange, context: PlanContext): Refusal | undefined {
  if (isHarmless({ reason: '', allowed: isOn, mayReset: true }, change)) return undefined
  if (change.inFunction) {
    const message = 'SET row_security in a function is refused: it would not end with it'
    return { code: 'STATEMENT_REFUSED', message, hint: 'Set it in the request that calls it.' }
  }
  if (context.role === 'admin') return undefined
  return {
    code: 'FORBIDDEN',
    message: 'SET row_security = off is for admins',
    hint: 'pg_dump --enable-row-security dumps what a user may see.',
  }
}

interface SettingRule {
  readonly reason: string
  readonly hint?: string
  /** Values that are fine; with `mayReset`, so are DEFAULT and RESET. */
  readonly allowed?: readonly string[]
  readonly mayReset?: boolean
}

const rolesRule: SettingRule = {
  reason: 'the key decides who the caller is',
  hint: "service and admin may use EXECUTE AS 'alice' (statement).",
}
const lexerRule = (allowed: readonly string[]): SettingRule => ({
  reason: 'it changes how SQL text is read, and all texts are read as PostgreSQL does by default',
  allowed,
  mayReset: true,
})
const isOn = ['on', 'true', 'yes', '1']
const isOff = ['off', 'false', 'no', '0']

/** Refused to everyone, at every door. */
const neverSettings = new Map<string, SettingRule>([
  ['role', rolesRule],
  ['session_authorization', rolesRule],
  ['bonjour_name', rolesRule],
  ['event_source', { reason: 'the server names sessions by it' }],
  ['session_replication_role', { reason: 'it would switch triggers and foreign keys off' }],
  ['standard_conforming_strings', lexerRule(isOn)],
  ['escape_string_warning', lexerRule(isOn)],
  ['backslash_quote', lexerRule(['safe_encoding'])],
  ['transform_null_equals', lexerRule(isOff)],
  [
    'client_encoding',
    { reason: 'all text is UTF-8', allowed: ['utf8', 'utf-8', 'unicode'], mayReset: true },
  ],
  [
    // Not even fsync at commit: what was acknowledged would be lost by kill -9.
    'synchronous_commit',
    {
      reason: 'an acknowledged write must be durable',
      hint: 'The setting engine.durability of the server is the one switch.',
      allowed: isOn,
      mayReset: true,
    },
  ],
  // An ordinary setting to PostgreSQL; with it on, the next error ends the engine for everyone.
  ['exit_on_error', { reason: 'it would end the engine for everyone', mayReset: true }],
])

/** How values look in results; over HTTP the table in docs/protocol.md is fixed. */
const httpFormats = new Map<string, SettingRule>(
  [
    { name: 'datestyle', allowed: ['iso'], instead: 'to_char()' },
    { name: 'intervalstyle', allowed: ['postgres'], instead: 'to_char() or extract()' },
    { name: 'bytea_output', allowed: ['hex'], instead: "encode(value, 'escape')" },
    { name: 'extra_float_digits', allowed: ['1', '2', '3'], instead: 'round() or to_char()' },
  ].map(({ name, allowed, instead }) => [
    name,
    {
      reason: 'over HTTP the format of values is fixed',
      hint: `Use ${instead} in the query.`,
      allowed,
      mayReset: true,
    },
  ]),
)

function reservedRule(name: string): SettingRule | undefined {
  return name.startsWith('kalam.') ? { reason: "the names kalam.* are the system's" } : undefined
}

function isHarmless(rule: SettingRule, change: SettingChange): boolean {
  if (change.values.length === 0) return rule.mayReset === true
  // DateStyle = 'ISO, MDY': the second part says how input is read.
  const isList = change.name.toLowerCase() === 'datestyle'
  const values = isList ? change.values.flatMap((value) => value.split(',')) : change.values
  const [first, ...others] = values.map((value) => value.trim().toLowerCase())
  if (first === undefined || (others.length > 0 && !isList)) return false
  return rule.allowed?.includes(first) === true
}

function refusal(name: string, rule: SettingRule): Refusal {
  const message = `SET ${name} is refused: ${rule.reason}`
  return { code: 'STATEMENT_REFUSED', message, hint: rule.hint }
}

function refuseByCaller(name: string, context: PlanContext): Refusal | undefined {
  if (context.readOnly && readOnlyGuards.has(name)) {
    return { code: 'FORBIDDEN', message: 'this key may only read: its transactions stay read only' }
  }
  const isOwn = name.includes('.') || userSettings.has(name)
  if (context.role === 'admin' || isOwn) return undefined
  const message = `SET ${name} is for admins`
  return {
    code: 'FORBIDDEN',
    message,
    hint: 'docs/sql.md lists the settings that are for everyone.',
  }
}

const readOnlyGuards = new Set(['transaction_read_only', 'default_transaction_read_only'])

/** What ordinary callers may set, beside names of their own with a dot: nothing that costs others. */
export const userSettings: ReadonlySet<string> = new Set([
  'application_name',
  'array_nulls',
  'bytea_output',
  'check_function_bodies',
  'client_min_messages',
  'constraint_exclusion',
  'cursor_tuple_fraction',
  'datestyle',
  'default_text_search_config',
  'default_transaction_deferrable',
  'default_transaction_isolation',
  'default_transaction_read_only',
  'enable_bitmapscan',
  'enable_hashagg',
  'enable_hashjoin',
  'enable_incremental_sort',
  'enable_indexonlyscan',
  'enable_indexscan',
  'enable_material',
  'enable_memoize',
  'enable_mergejoin',
  'enable_nestloop',
  'enable_partition_pruning',
  'enable_partitionwise_aggregate',
  'enable_partitionwise_join',
  'enable_seqscan',
  'enable_sort',
  'enable_tidscan',
  'extra_float_digits',
  'from_collapse_limit',
  'idle_in_transaction_session_timeout',
  'intervalstyle',
  'jit',
  'join_collapse_limit',
  'lc_monetary',
  'lc_numeric',
  'lc_time',
  'lock_timeout',
  'plan_cache_mode',
  'restrict_nonsystem_relation_kind',
  'search_path',
  'statement_timeout',
  'synchronize_seqscans',
  'timezone',
  'timezone_abbreviations',
  'transaction_deferrable',
  'transaction_isolation',
  'transaction_read_only',
  'transaction_timeout',
  'xmlbinary',
  'xmloption',
])
