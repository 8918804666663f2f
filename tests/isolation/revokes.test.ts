/** What PostgreSQL itself refuses, should anything get past the dialect: the second wall. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Identity } from '#src/engine/engine.js'
import type { Role } from '#src/dialect/roles.js'
import { openTestCatalog, type TestCatalog } from '../support/catalog.js'

let catalog: TestCatalog
const identities = new Map<Role, Identity>()
beforeAll(async () => {
  catalog = await openTestCatalog()
  for (const role of ['user', 'service', 'admin'] as const) {
    await catalog.users.createUser({ name: `${role}1`, role, ifNotExists: false })
    const found = await catalog.users.findByName(`${role}1`)
    if (found === undefined) throw new Error('the user was made')
    const { userId, roleOid } = found
    identities.set(role, { userId, roleOid, readOnly: false })
  }
})
afterAll(() => catalog.close())

function as(role: Role, sql: string) {
  const identity = identities.get(role)
  if (identity === undefined) throw new Error(`no identity for ${role}`)
  return catalog.as(identity, sql)
}

const denied = { sqlState: '42501' }

/** For admins only: session state that all share, large objects, SQL from a text. */
const forAdmins = [
  `select set_config('app.x', '1', false)`,
  'select setseed(0.5)',
  'select lo_create(0)',
  'select lo_creat(-1)',
  `select lo_from_bytea(0, 'x')`,
  `select query_to_xml('select 1', true, true, '')`,
  `select table_to_xml('pg_class', true, true, '')`,
  `select schema_to_xmlschema('public', true, true, '')`,
  `select * from ts_stat('select ''a''::tsvector')`,
  `select ts_rewrite('a'::tsquery, 'select ''a''::tsquery, ''b''::tsquery')`,
  'do $$ begin perform 1; end $$',
  'create function public.f() returns int language sql return 1',
  'create function pg_temp.f() returns int language plpgsql as $$ begin return 1; end $$',
  'create table public.t (id int)',
  'create view public.v as select 1',
  'create schema s',
  'create domain public.d as int',
  'checkpoint',
] as const

/** For nobody, admins included: files, other people's work, the roles themselves. */
const forNobody = [
  'select kalam.pg_advisory_lock(1)',
  'select kalam.pg_advisory_xact_lock_shared(1, 2)',
  'select kalam.pg_advisory_unlock_all()',
  'select kalam.give_advisory_locks_back(1)',
  `select kalam.want_advisory_lock(1, 1, 'shared', '{}', '{}')`,
  `select kalam.stop_wanting_advisory_lock(1, 1, 'shared')`,
  'select pg_sleep(0)',
  `select pg_sleep_for('0 s')`,
  'select pg_sleep_until(now())',
  'select pg_cancel_backend(1)',
  'select pg_terminate_backend(1, 0)',
  'select * from pg_prepared_statements',
  'select * from pg_prepared_statement()',
  'select * from pg_cursors',
  'select * from pg_cursor()',
  'select pg_listening_channels()',
  'select pg_export_snapshot()',
  `select pg_logical_emit_message(true, 'a', 'b')`,
  `select pg_create_physical_replication_slot('s')`,
  `select lo_import('/etc/passwd')`,
  `select lo_export(1, '/tmp/x')`,
  `select pg_read_file('/etc/passwd')`,
  `select pg_read_binary_file('postgresql.conf')`,
  `select pg_ls_dir('.')`,
  `select pg_stat_file('.')`,
  `copy (select 1) to '/tmp/x'`,
  `copy pg_temp.x from program 'true'`,
  `update pg_settings set setting = '1' where name = 'work_mem'`,
  'select * from pg_authid',
  'select rolpassword from pg_authid',
  'select * from kalam.users',
  'select digest from kalam.apikeys',
  'select * from kalam.idempotency',
  'select * from kalam.settings',
  'select * from kalam.user_roles',
  `delete from kalam.migrations`,
  `update system.users set role = 'admin'`,
  `select kalam.ensure_user_role('root')`,
  `select kalam.set_user_role('root', 'user')`,
  `select kalam.drop_user('root', now())`,
  'create table kalam.t (id int)',
  'create table system.t (id int)',
  'drop view system.users',
  `alter view system.users rename to people`,
  'create role r',
  'alter role kalam_user superuser',
  'drop role kalam_user',
  'grant kalam_admin to kalam_user',
  'grant kalam_service to kalam_admin',
  'create database d',
  'alter system set work_mem = 64',
  'create event trigger e on ddl_command_end execute function f()',
  'create language sql2 handler plpgsql_call_handler',
  `create function public.c() returns int language c as 'x', 'y'`,
  `load 'plpgsql'`,
  'set role postgres',
  'set session authorization postgres',
  `set session_replication_role = 'replica'`,
  `alter table pg_catalog.pg_class add column x int`,
  `delete from pg_catalog.pg_proc`,
] as const

describe('A4: a user', () => {
  test.each([...forAdmins, ...forNobody])('is denied: %s', async (sql) => {
    await expect(as('user', sql)).rejects.toMatchObject(denied)
  })

  test('may make a temporary table', async () => {
    expect(await as('user', 'create temporary table mine (id int)')).toMatchObject({
      command: 'CREATE TABLE',
    })
  })
})

describe('A4: a service', () => {
  test.each([...forAdmins, ...forNobody])('is denied: %s', async (sql) => {
    await expect(as('service', sql)).rejects.toMatchObject(denied)
  })
})

describe('A4: an admin', () => {
  test.each(forNobody)('is denied: %s', async (sql) => {
    await expect(as('admin', sql)).rejects.toMatchObject(denied)
  })

  test.each(forAdmins)('may: %s', async (sql) => {
    await as('admin', sql).catch((error: unknown) => {
      expect(error).not.toMatchObject(denied)
    })
  })

  test('gives tables to roles; the schema around them is open', async () => {
    await as('admin', 'create schema shop')
    await as('admin', 'create table shop.prices (id int)')
    await expect(as('user', 'select * from shop.prices')).rejects.toMatchObject(denied)
    await as('admin', 'grant select on shop.prices to kalam_user')
    for (const role of ['user', 'service'] as const)
      expect((await as(role, 'select * from shop.prices')).rows).toEqual([])
    await expect(as('service', 'insert into shop.prices values (1)')).rejects.toMatchObject(denied)
  })
})

describe('A3: kalam.uid()', () => {
  test('is the caller, under every role', async () => {
    for (const [role, { userId }] of identities)
      expect((await as(role, 'select kalam.uid()')).rows).toEqual([[userId]])
  })

  test.each([
    `set bonjour_name = 'root'`,
    `set local bonjour_name = 'root'`,
    `select set_config('bonjour_name', 'root', false)`,
    `alter role current_user set bonjour_name = 'root'`,
    `alter database postgres set bonjour_name = 'root'`,
    `create function pg_temp.g() returns text set bonjour_name = 'root' language sql return ''`,
    `create or replace function kalam.uid() returns text language sql return 'root'`,
    `alter function kalam.uid() set bonjour_name = 'root'`,
    'drop function kalam.uid()',
  ])('is not to be forged by: %s', async (sql) => {
    for (const [role, { userId }] of identities) {
      await expect(as(role, sql)).rejects.toMatchObject({ code: expect.any(String) as string })
      expect((await as(role, 'select kalam.uid()')).rows).toEqual([[userId]])
    }
  })

  test.each([
    `set event_source = '1'`,
    `select set_config('event_source', '1', false)`,
    `create function pg_temp.h() returns text set event_source = '1' language sql return ''`,
  ])('whose turn it is is not to be forged by: %s', async (sql) => {
    for (const role of identities.keys()) {
      await expect(as(role, sql)).rejects.toMatchObject({ code: expect.any(String) as string })
      expect((await as(role, 'select kalam.session()')).rows).toEqual([['0']])
    }
  })

  test('is inlined, so that a policy on it can use an index', async () => {
    const { rows } = await catalog.queries.query(
      `explain (verbose) select 1 from kalam.users where user_id = kalam.uid()`,
    )
    expect(rows.flat().join('\n')).toContain(`current_setting('bonjour_name'`)
  })
})
