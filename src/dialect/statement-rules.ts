/**
 * Who may run which statement, and what each does to its surroundings. One line per node of
 * PostgreSQL's grammar; what depends on a statement's parts is in check-statement.ts.
 */
import type { StatementKind } from './syntax-tree.js'

export interface StatementRule {
  /** How messages call it. */
  readonly name: string
  readonly who: 'everyone' | 'admin' | 'nobody'
  /** Why nobody may run it: ends the sentence "… is refused: ". */
  readonly reason?: string
  /** Why it cannot be run over HTTP. */
  readonly httpReason?: string
  readonly hint?: string
  /** A key that may only read may run it. */
  readonly reads?: boolean
  readonly stateful?: boolean
  readonly ddl?: boolean
  /** `$1` in it is a parameter of the statement. */
  readonly parameters?: boolean
}

type Traits = Omit<StatementRule, 'name' | 'who' | 'reason'>

const everyone = (name: string, traits: Traits = {}): StatementRule => ({
  name,
  who: 'everyone',
  ...traits,
})
const admin = (name: string, traits: Traits = {}): StatementRule => ({
  name,
  who: 'admin',
  ...traits,
})
const ddl = (name: string, traits: Traits = {}): StatementRule =>
  admin(name, { ddl: true, ...traits })
const nobody = (name: string, reason: string, hint?: string): StatementRule => ({
  name,
  who: 'nobody',
  reason,
  ...(hint === undefined ? {} : { hint }),
})

const rolesReason = 'users of KalamDB are not PostgreSQL roles'
const usersHint = "Use CREATE USER 'alice' [ROLE user|service|admin]; DROP USER and ALTER USER."
const oneDatabase = 'a server has exactly one database, which is its own'
const namespaceHint =
  'Use namespaces: CREATE NAMESPACE app. A tool that wants another database takes another server’s.'
const noForeign = 'the server does not connect to other databases'
const noReplication = 'the embedded engine does not replicate'
const sharedSession = 'the engine serves all callers in one session'
const notifyReason = 'there is no session that a notification could be delivered to'
const ownersReason = 'everything that admins make belongs to all of them'
const preparedReason = 'no session lives longer than a request'
const preparedHint = 'Send the statement with $1 parameters: it is prepared and kept for you.'

export const statementRules = {
  SelectStmt: everyone('SELECT', { reads: true, parameters: true }),
  InsertStmt: everyone('INSERT', { parameters: true }),
  UpdateStmt: everyone('UPDATE', { parameters: true }),
  DeleteStmt: everyone('DELETE', { parameters: true }),
  MergeStmt: everyone('MERGE', { parameters: true }),
  ExplainStmt: admin('EXPLAIN', {
    reads: true,
    parameters: true,
    hint: 'Plans tell of the rows of all users.',
  }),
  TransactionStmt: everyone('transaction control', { reads: true, stateful: true }),
  VariableSetStmt: everyone('SET', { reads: true, stateful: true }),
  VariableShowStmt: everyone('SHOW', { reads: true }),
  ConstraintsSetStmt: everyone('SET CONSTRAINTS', { stateful: true }),
  DeclareCursorStmt: everyone('DECLARE', { reads: true, stateful: true, parameters: true }),
  FetchStmt: everyone('FETCH', { reads: true, stateful: true }),
  ClosePortalStmt: everyone('CLOSE', { reads: true, stateful: true }),
  LockStmt: everyone('LOCK', { reads: true, stateful: true }),
  NotifyStmt: everyone('NOTIFY'),

  CreateStmt: everyone('CREATE TABLE', { ddl: true }),
  CreateTableAsStmt: everyone('CREATE TABLE AS', { ddl: true, parameters: true }),
  AlterTableStmt: everyone('ALTER TABLE', { ddl: true }),
  DropStmt: everyone('DROP', { ddl: true }),
  RenameStmt: everyone('RENAME', { ddl: true }),
  IndexStmt: everyone('CREATE INDEX', { ddl: true }),
  TruncateStmt: everyone('TRUNCATE'),
  CopyStmt: everyone('COPY', { reads: true }),

  CreateSchemaStmt: ddl('CREATE NAMESPACE'),
  ViewStmt: ddl('CREATE VIEW'),
  RefreshMatViewStmt: admin('REFRESH MATERIALIZED VIEW'),
  CreateSeqStmt: ddl('CREATE SEQUENCE'),
  AlterSeqStmt: ddl('ALTER SEQUENCE'),
  CreateDomainStmt: ddl('CREATE DOMAIN'),
  AlterDomainStmt: ddl('ALTER DOMAIN'),
  CreateEnumStmt: ddl('CREATE TYPE'),
  AlterEnumStmt: ddl('ALTER TYPE'),
  CompositeTypeStmt: ddl('CREATE TYPE'),
  CreateRangeStmt: ddl('CREATE TYPE'),
  AlterTypeStmt: ddl('ALTER TYPE'),
  DefineStmt: ddl('CREATE AGGREGATE, OPERATOR, TYPE, COLLATION or TEXT SEARCH'),
  AlterOperatorStmt: ddl('ALTER OPERATOR'),
  CreateOpClassStmt: ddl('CREATE OPERATOR CLASS'),
  CreateOpFamilyStmt: ddl('CREATE OPERATOR FAMILY'),
  AlterOpFamilyStmt: ddl('ALTER OPERATOR FAMILY'),
  CreateCastStmt: ddl('CREATE CAST'),
  CreateConversionStmt: ddl('CREATE CONVERSION'),
  CreateTransformStmt: ddl('CREATE TRANSFORM'),
  AlterCollationStmt: ddl('ALTER COLLATION'),
  AlterTSDictionaryStmt: ddl('ALTER TEXT SEARCH DICTIONARY'),
  AlterTSConfigurationStmt: ddl('ALTER TEXT SEARCH CONFIGURATION'),
  CreateStatsStmt: ddl('CREATE STATISTICS'),
  AlterStatsStmt: ddl('ALTER STATISTICS'),
  CreateFunctionStmt: ddl('CREATE FUNCTION'),
  AlterFunctionStmt: ddl('ALTER FUNCTION'),
  CreateTrigStmt: ddl('CREATE TRIGGER'),
  CreatePolicyStmt: ddl('CREATE POLICY'),
  AlterPolicyStmt: ddl('ALTER POLICY'),
  RuleStmt: ddl('CREATE RULE'),
  CreateExtensionStmt: ddl('CREATE EXTENSION'),
  AlterExtensionStmt: ddl('ALTER EXTENSION'),
  AlterExtensionContentsStmt: ddl('ALTER EXTENSION'),
  AlterObjectSchemaStmt: ddl('SET SCHEMA'),
  AlterObjectDependsStmt: ddl('DEPENDS ON EXTENSION'),
  CreateAmStmt: ddl('CREATE ACCESS METHOD'),
  CommentStmt: admin('COMMENT'),
  GrantStmt: admin('GRANT and REVOKE'),
  AlterDefaultPrivilegesStmt: admin('ALTER DEFAULT PRIVILEGES'),
  DoStmt: ddl('DO', { stateful: true }),
  CallStmt: ddl('CALL', { stateful: true, parameters: true }),
  VacuumStmt: admin('VACUUM and ANALYZE'),
  ClusterStmt: admin('CLUSTER'),
  ReindexStmt: admin('REINDEX'),
  CheckPointStmt: admin('CHECKPOINT'),

  CreateRoleStmt: nobody('CREATE ROLE', rolesReason, usersHint),
  AlterRoleStmt: nobody('ALTER ROLE', rolesReason, usersHint),
  AlterRoleSetStmt: nobody('ALTER ROLE', rolesReason, usersHint),
  DropRoleStmt: nobody('DROP ROLE', rolesReason, usersHint),
  GrantRoleStmt: nobody(
    'GRANT of a role',
    rolesReason,
    "Use ALTER USER 'alice' SET ROLE user|service|admin.",
  ),
  AlterOwnerStmt: everyone('OWNER TO', { ddl: true }),
  DropOwnedStmt: nobody('DROP OWNED', ownersReason),
  ReassignOwnedStmt: nobody('REASSIGN OWNED', ownersReason),
  SecLabelStmt: nobody('SECURITY LABEL', 'no label provider is loaded'),
  CreatedbStmt: nobody('CREATE DATABASE', oneDatabase, namespaceHint),
  AlterDatabaseStmt: nobody('ALTER DATABASE', oneDatabase),
  AlterDatabaseSetStmt: nobody('ALTER DATABASE', oneDatabase),
  AlterDatabaseRefreshCollStmt: nobody('ALTER DATABASE', oneDatabase),
  DropdbStmt: nobody('DROP DATABASE', oneDatabase, 'Use DROP NAMESPACE … CASCADE.'),
  CreateTableSpaceStmt: nobody('CREATE TABLESPACE', 'the data folder is one'),
  AlterTableSpaceOptionsStmt: nobody('ALTER TABLESPACE', 'the data folder is one'),
  AlterTableMoveAllStmt: nobody('ALTER TABLE ALL IN TABLESPACE', 'the data folder is one'),
  DropTableSpaceStmt: nobody('DROP TABLESPACE', 'the data folder is one'),
  CreateEventTrigStmt: nobody('CREATE EVENT TRIGGER', 'it would run with every DDL of the system'),
  AlterEventTrigStmt: nobody('ALTER EVENT TRIGGER', 'it would run with every DDL of the system'),
  CreatePLangStmt: nobody('CREATE LANGUAGE', 'the languages are sql and plpgsql'),
  LoadStmt: nobody('LOAD', 'it would load code into the server'),
  AlterSystemStmt: nobody(
    'ALTER SYSTEM',
    'settings of the server come from config.toml and the environment',
    'SHOW CONFIG lists them with their names.',
  ),
  CreatePublicationStmt: nobody('CREATE PUBLICATION', noReplication),
  AlterPublicationStmt: nobody('ALTER PUBLICATION', noReplication),
  CreateSubscriptionStmt: nobody('CREATE SUBSCRIPTION', noReplication),
  AlterSubscriptionStmt: nobody('ALTER SUBSCRIPTION', noReplication),
  DropSubscriptionStmt: nobody('DROP SUBSCRIPTION', noReplication),
  CreateFdwStmt: nobody('CREATE FOREIGN DATA WRAPPER', noForeign),
  AlterFdwStmt: nobody('ALTER FOREIGN DATA WRAPPER', noForeign),
  CreateForeignServerStmt: nobody('CREATE SERVER', noForeign),
  AlterForeignServerStmt: nobody('ALTER SERVER', noForeign),
  CreateForeignTableStmt: nobody('CREATE FOREIGN TABLE', noForeign),
  CreateUserMappingStmt: nobody('CREATE USER MAPPING', noForeign),
  AlterUserMappingStmt: nobody('ALTER USER MAPPING', noForeign),
  DropUserMappingStmt: nobody('DROP USER MAPPING', noForeign),
  ImportForeignSchemaStmt: nobody('IMPORT FOREIGN SCHEMA', noForeign),
  DiscardStmt: everyone('DISCARD', {
    httpReason: sharedSession,
    hint: 'A request leaves nothing behind as it is.',
    reads: true,
    stateful: true,
  }),
  ListenStmt: everyone('LISTEN', { httpReason: notifyReason, reads: true, stateful: true }),
  UnlistenStmt: everyone('UNLISTEN', { httpReason: notifyReason, reads: true, stateful: true }),
  PrepareStmt: everyone('PREPARE', {
    httpReason: preparedReason,
    hint: preparedHint,
    reads: true,
    stateful: true,
  }),
  ExecuteStmt: everyone('EXECUTE', {
    httpReason: preparedReason,
    hint: preparedHint,
    reads: true,
    stateful: true,
  }),
  DeallocateStmt: everyone('DEALLOCATE', {
    httpReason: preparedReason,
    reads: true,
    stateful: true,
  }),
} as const satisfies Record<StatementKind, StatementRule>

/** The rule of a statement; one that this table does not know is refused. */
export function ruleOf(kind: StatementKind): StatementRule {
  const rules: Readonly<Partial<Record<StatementKind, StatementRule>>> = statementRules
  return rules[kind] ?? nobody(kind, 'it is unknown to this version')
}
