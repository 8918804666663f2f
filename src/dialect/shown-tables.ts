/**
 * What stands in the place of PostgreSQL's catalogs for a client of its protocol, by who reads:
 *
 *   all        pg_namespace without the schemas in which the system keeps its things, pg_database
 *              with the one database under its name, pg_locks with the sessions that have and that
 *              want advisory locks, pg_event_trigger and pg_default_acl without the system's own,
 *              columns that older clients ask for
 *   users      no figure that tells of others' rows, no table of the system's schemas, and rights
 *              as shown-rights.ts has them
 *   pg_dump    the system's schemas under names that it leaves out; managed tables without what
 *              they have by themselves; for users without what they may not read
 *
 *   who asks   for the columns of keys, or reads the information schema: tables and keys as they
 *              were written, without what makes them managed
 */
import { databaseName } from '../protocol/database-name.js'
import type { Role } from './roles.js'
import {
  catalogsOfRights,
  catalogsOfRoles,
  hasRights,
  withoutUsers,
  type Whose,
} from './shown-rights.js'

/** A view of the system's, or a query over the catalog. */
export type Shown = ShownView | ShownQuery

export interface ShownView {
  /** Its name in `kalam`. */
  readonly view: string
  /** The columns by which a row of it is found in the catalog. */
  readonly key: string
}

export interface ShownQuery {
  readonly columns: readonly string[]
  /** Expressions in the place of columns. */
  readonly instead?: Readonly<Record<string, string>>
  /** Columns that are there for who asks by name, with what they are. */
  readonly onDemand?: Readonly<Record<string, string>>
  readonly where?: string
}

/** Who reads, and by what statement. */
export interface Reader {
  readonly role: Role
  /** Only dumps ask for `tableoid`, or for the rights that things had at first. */
  readonly isDump: boolean
  /** It asks for the numbers of a key's columns. */
  readonly readsKeys: boolean
  readonly readsInformationSchema: boolean
  /** It asks for rights, by the names of their columns. */
  readonly readsRights: boolean
}

/** What is shown instead of a table of `pg_catalog`; undefined for PostgreSQL's own. */
export function shownTable(name: string, reader: Reader): Shown | undefined {
  const isAdmin = reader.role === 'admin'
  const rights = reader.isDump ? rightsInDumps : rightsOfUsers
  const fewer = reader.readsRights && !isAdmin ? rights.get(name) : undefined
  if (reader.isDump) return fewer ?? (isAdmin ? dumpedByAdmins : dumpedByUsers).get(name)
  const written = reader.readsKeys ? writtenKeys.get(name) : undefined
  if (written !== undefined) return written
  // Who reads it beside what has tables as they were written would find columns that are not there.
  if (name === 'pg_attribute' && (reader.readsKeys || reader.readsInformationSchema))
    return writtenColumns
  return fewer ?? (isAdmin ? shownToAll : shownToUsers).get(name)
}

const rightsOfUsers = catalogsOfRights('others')
const rightsInDumps = catalogsOfRights('all users')

/** With the columns of keys that `_user_id` was put in front of. */
const writtenKeys: ReadonlyMap<string, ShownView> = new Map([
  ['pg_index', { view: 'written_index', key: 'indexrelid' }],
  ['pg_constraint', { view: 'written_constraint', key: 'oid' }],
])

const writtenColumns: ShownView = { view: 'written_attribute', key: 'attrelid, attnum' }

type ShownTables = ReadonlyMap<string, ShownQuery>

const namespaces: ShownQuery = {
  columns: ['oid', 'nspname', 'nspowner', 'nspacl'],
  where: `nspname not in ('kalam', 'kalam_deleted')`,
}

const databases: ShownQuery = {
  columns: [
    ...['oid', 'datname', 'datdba', 'encoding', 'datlocprovider', 'datistemplate'],
    ...['datallowconn', 'dathasloginevt', 'datconnlimit', 'datfrozenxid', 'datminmxid'],
    ...['dattablespace', 'datcollate', 'datctype', 'datlocale', 'daticurules'],
    ...['datcollversion', 'datacl'],
  ],
  instead: {
    datname: `case when oid = 5 then '${databaseName}' else datname end::pg_catalog.name`,
  },
  // Its name until PostgreSQL 17: psql -l of before asks for it.
  onDemand: { daticulocale: 'datlocale' },
}

const collations: ShownQuery = {
  columns: [
    ...['oid', 'collname', 'collnamespace', 'collowner', 'collprovider', 'collisdeterministic'],
    ...['collencoding', 'collcollate', 'collctype', 'colllocale', 'collicurules', 'collversion'],
  ],
  onDemand: { colliculocale: 'colllocale' },
}

const policies = {
  columns: [
    ...['schemaname', 'tablename', 'policyname', 'permissive', 'roles', 'cmd', 'qual'],
    'with_check',
  ],
  where: `policyname !~ '^kalam_'`,
}

const defaultRights = {
  columns: ['oid', 'defaclrole', 'defaclnamespace', 'defaclobjtype', 'defaclacl'],
  where: `pg_catalog.pg_get_userbyid(defaclrole) <> 'kalam_everything'`,
}

const shownToAll: ShownTables = new Map([
  ['pg_namespace', namespaces],
  ['pg_database', databases],
  ['pg_collation', collations],
  ['pg_policies', policies],
  [
    'pg_locks',
    {
      columns: [
        ...['locktype', 'database', 'relation', 'page', 'tuple', 'virtualxid', 'transactionid'],
        ...['classid', 'objid', 'objsubid', 'virtualtransaction', 'pid', 'mode', 'granted'],
        ...['fastpath', 'waitstart'],
      ],
      // Advisory ones as 0010-waiting-locks has them.
      instead: {
        pid: `case locktype when 'advisory' then classid::int8::int4 else kalam.session() end`,
        granted: `granted and (locktype <> 'advisory' or objsubid = 2)`,
      },
    },
  ],
  [
    'pg_event_trigger',
    {
      columns: [...['oid', 'evtname', 'evtevent', 'evtowner', 'evtfoid', 'evtenabled', 'evttags']],
      where: `evtname !~ '^kalam_'`,
    },
  ],
  ['pg_default_acl', defaultRights],
])

const relationColumns = [
  ...['oid', 'relname', 'relnamespace', 'reltype', 'reloftype', 'relowner', 'relam'],
  ...['relfilenode', 'reltablespace', 'relpages', 'reltuples', 'relallvisible'],
  ...['relallfrozen', 'reltoastrelid', 'relhasindex', 'relisshared', 'relpersistence'],
  ...['relkind', 'relnatts', 'relchecks', 'relhasrules', 'relhastriggers'],
  ...['relhassubclass', 'relrowsecurity', 'relforcerowsecurity', 'relispopulated'],
  ...['relreplident', 'relispartition', 'relrewrite', 'relfrozenxid', 'relminmxid'],
  ...['relacl', 'reloptions', 'relpartbound'],
]

/** Of a table that was never vacuumed or analyzed, as PostgreSQL says it. */
const unknownFigures = {
  ...{ relpages: '0', reltuples: '(-1)::pg_catalog.float4', relallvisible: '0', relallfrozen: '0' },
  ...{ relfrozenxid: `'0'::pg_catalog.xid`, relminmxid: `'0'::pg_catalog.xid` },
}

const shownToUsers: ShownTables = new Map([
  ...shownToAll,
  ...catalogsOfRoles('others'),
  ['pg_namespace', { ...namespaces, instead: { nspacl: withoutUsers('nspacl', 'others') } }],
  ['pg_default_acl', withoutRights(defaultRights, 'others')],
  [
    'pg_policies',
    {
      ...policies,
      instead: { roles: withoutUsers('roles', 'others') },
      where: `${policies.where} and ${hasRights('roles', 'others')}`,
    },
  ],
  [
    'pg_class',
    {
      columns: relationColumns,
      instead: { ...unknownFigures, relacl: withoutUsers('relacl', 'others') },
      where: `relnamespace <> all ('{kalam,kalam_deleted}'::pg_catalog.regnamespace[])`,
    },
  ],
  ['pg_database', withoutAge(databases)],
])

function withoutRights({ columns, where }: typeof defaultRights, whose: Whose): ShownQuery {
  return {
    columns,
    instead: { defaclacl: withoutUsers('defaclacl', whose) },
    where: `${where} and ${hasRights('defaclacl', whose)}`,
  }
}

function withoutAge({ instead, ...shown }: ShownQuery): ShownQuery {
  const none = `'0'::pg_catalog.xid`
  return { ...shown, instead: { ...instead, datfrozenxid: none, datminmxid: none } }
}

/** Rights that every server gives to the system's roles, and on `public` to admins. */
const systemRight = 'kalam_(sys|reaper)=|kalam_admin=[^/]*/pg_database_owner'

function without(rights: string, acl: string): string {
  return (
    `case when ${acl}::text ~ '${rights}' then array(select item ` +
    `from pg_catalog.unnest(${acl}) item where item::text !~ '^(${rights})') else ${acl} end`
  )
}

/**
 * pg_dump must find the schema of every table that it finds, and leaves out those that begin with
 * `pg_`: PostgreSQL's way to say that a schema is the system's.
 */
const dumpedName =
  `case when nspname in ('system', 'kalam', 'kalam_deleted') ` +
  `then 'pg_' || nspname else nspname end::pg_catalog.name`

/** A managed table has its triggers and policies again as soon as it is there. */
const dumpedByAdmins: ShownTables = new Map([
  ...shownToAll,
  [
    'pg_namespace',
    {
      columns: namespaces.columns,
      instead: { nspname: dumpedName, nspacl: without(systemRight, 'nspacl') },
    },
  ],
  ['pg_class', { columns: relationColumns, instead: { relacl: without(systemRight, 'relacl') } }],
  [
    'pg_trigger',
    {
      columns: [
        ...['oid', 'tgrelid', 'tgparentid', 'tgname', 'tgfoid', 'tgtype', 'tgenabled'],
        ...['tgisinternal', 'tgconstrrelid', 'tgconstrindid', 'tgconstraint', 'tgdeferrable'],
        ...['tginitdeferred', 'tgnargs', 'tgattr', 'tgargs', 'tgqual', 'tgoldtable', 'tgnewtable'],
      ],
      where: `tgname !~ '^kalam_'`,
    },
  ],
  [
    'pg_policy',
    {
      columns: [
        ...['oid', 'polname', 'polrelid', 'polcmd', 'polpermissive', 'polroles', 'polqual'],
        'polwithcheck',
      ],
      where: `polname !~ '^kalam_'`,
    },
  ],
])

function mayRead(relation: string): string {
  return `pg_catalog.has_table_privilege(${relation}, 'select')`
}

/** Tables that one may read, sequences of such tables, and what else is in pg_class. */
const readable =
  `case when relkind in ('r', 'p', 'v', 'm', 'f') then ${mayRead('oid')} ` +
  `when relkind = 'S' then pg_catalog.has_sequence_privilege(oid, 'usage') else true end`

const othersRights = `${systemRight}|kalam_u_`

const dumpedByUsers: ShownTables = new Map([
  ...dumpedByAdmins,
  ...catalogsOfRoles('all users'),
  ['pg_default_acl', withoutRights(defaultRights, 'all users')],
  [
    'pg_namespace',
    {
      columns: namespaces.columns,
      instead: { nspname: dumpedName, nspacl: without(othersRights, 'nspacl') },
    },
  ],
  [
    'pg_class',
    {
      columns: relationColumns,
      instead: { ...unknownFigures, relacl: without(othersRights, 'relacl') },
      where: readable,
    },
  ],
  ['pg_database', withoutAge(databases)],
  [
    'pg_rewrite',
    {
      columns: [
        ...['oid', 'rulename', 'ev_class', 'ev_type', 'ev_enabled', 'is_instead', 'ev_qual'],
        'ev_action',
      ],
      where: mayRead('ev_class'),
    },
  ],
])
