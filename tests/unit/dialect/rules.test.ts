import { describe, expect, test } from 'vitest'
import { statementRules } from '#src/dialect/statement-rules.js'
import { errorOf, outcomeOf, planSql } from '../../support/dialect.js'

const ok = 'ok'
const no = 'STATEMENT_REFUSED'
const admins = 'FORBIDDEN'

/** Statement, then what an admin, a user, and an admin whose key may only read get. */
const matrix: readonly (readonly [string, string, string, string])[] = [
  ['select * from t', ok, ok, ok],
  ['values (1), (2)', ok, ok, ok],
  ['table t', ok, ok, ok],
  ['with x as (select 1) select * from x', ok, ok, ok],
  ['select * from pg_catalog.pg_class, information_schema.tables, system.users', ok, ok, ok],
  ['select 1 into temp x', ok, ok, admins],
  ['select 1 into pg_temp.x', ok, ok, admins],
  ['select 1 into x', ok, admins, admins],
  ['select 1 into x union select 2', ok, admins, admins],
  ['select 1 into kalam.x union select 2', no, admins, no],
  ['select * from t for update', ok, ok, admins],
  ['select * from (select * from t for share) x', ok, ok, admins],
  ['with x as (delete from t returning *) select * from x', ok, ok, admins],
  ['insert into t values (1) on conflict do nothing', ok, ok, admins],
  ['update t set a = 1', ok, ok, admins],
  ['delete from t', ok, ok, admins],
  ['merge into t using s on t.a = s.a when matched then delete', ok, ok, admins],
  ['explain select 1', ok, admins, ok],
  ['explain analyze select 1', ok, admins, ok],
  ['explain (costs, analyze) select 1', ok, admins, ok],
  ['explain select 1 into x', ok, admins, admins],
  ['explain delete from t', ok, admins, admins],
  ['explain create table x as select 1', ok, admins, admins],
  ['explain execute p', no, admins, no],
  ['select xmin from t', ok, admins, ok],
  ['select 1 from t where t.xmax = $1', ok, admins, ok],
  ['select (t).xmin from t', ok, admins, ok],
  ['select (t.*).xmax::text from t', ok, admins, ok],
  ['select xmin(t) from t', ok, admins, ok],
  ['delete from t returning "xmax"(t)', ok, admins, admins],
  ['select app.xmin(t), (t).id from t', ok, ok, ok],
  ['select ctid from t', ok, ok, ok],
  ['select * from kalam_deleted.t1', no, no, no],
  ['select 1 where exists (table kalam_deleted.t1)', no, no, no],
  ['set search_path = a, kalam_deleted', no, no, no],
  ['set search_path = kalam', no, no, no],
  ['set search_path = system, pg_catalog, kalamar', ok, ok, ok],
  ['begin', ok, ok, ok],
  ['start transaction isolation level serializable, read only', ok, ok, ok],
  ['begin read write', ok, ok, admins],
  ['savepoint a', ok, ok, ok],
  ['rollback to a', ok, ok, ok],
  ['release a', ok, ok, ok],
  ['commit and chain', ok, ok, ok],
  ['rollback', ok, ok, ok],
  ["prepare transaction 'x'", no, no, no],
  ["commit prepared 'x'", no, no, no],
  ["rollback prepared 'x'", no, no, no],
  ['declare c cursor for select 1', ok, ok, ok],
  ['declare c cursor with hold for select 1', ok, ok, ok],
  ['declare c cursor for select * from t for update', ok, ok, admins],
  ['fetch 3 from c', ok, ok, ok],
  ['move c', ok, ok, ok],
  ['close c', ok, ok, ok],
  ['close all', no, no, no],
  ['declare kalam_c cursor for select 1', no, no, no],
  ['fetch "KALAM_c"', no, no, no],
  ['close kalam1', no, no, no],
  ['update t set a = 1 where current of kalam_c', no, no, admins],
  ['lock table t', ok, ok, admins],
  ['lock table t in access share mode', ok, ok, ok],
  ['lock table t in row share mode', ok, ok, admins],
  ['set constraints all deferred', ok, ok, admins],
  ['notify x', ok, ok, admins],
  ['notify kalam_x', no, no, admins],
  ['listen x', no, no, no],
  ['unlisten *', no, no, no],
  ['create temp table x (a int)', ok, ok, admins],
  ['create temporary table x as select 1', ok, ok, admins],
  ['create table pg_temp.x (a int)', ok, ok, admins],
  ['create table x (a int)', ok, admins, admins],
  ['create unlogged table x (a int)', ok, admins, admins],
  ['create table x as select 1', ok, admins, admins],
  ['create table x as execute p', no, admins, admins],
  ['create temp table x as execute p', no, no, admins],
  ['create materialized view x as select 1', ok, admins, admins],
  ['create view x as select 1', ok, admins, admins],
  ['create temp view x as select 1', ok, admins, admins],
  ['create index on x (a)', ok, ok, admins],
  ['alter table x add b int', ok, ok, admins],
  ['alter table x rename to y', ok, ok, admins],
  ['alter table x rename a to b', ok, ok, admins],
  ['alter view x rename to y', ok, admins, admins],
  ['alter table x owner to y', no, no, admins],
  ['alter table x add b int, owner to y', no, no, admins],
  ['alter view x owner to y', no, no, admins],
  ['alter schema x owner to y', no, no, admins],
  ['alter function f owner to y', no, no, admins],
  ['alter table x owner to kalam_admin', ok, ok, admins],
  ['alter schema x owner to kalam_admin', ok, admins, admins],
  ['drop table x, y', ok, ok, admins],
  ['drop index x', ok, ok, admins],
  ['drop view x', ok, admins, admins],
  ['drop schema x cascade', ok, admins, admins],
  ['drop function f', ok, admins, admins],
  ['drop language plpgsql', no, no, admins],
  ['drop event trigger x', no, no, admins],
  ['truncate x', ok, ok, admins],
  ['comment on table x is null', ok, admins, admins],
  ["comment on role x is 'a'", no, admins, admins],
  ['create schema x', ok, admins, admins],
  ['create namespace if not exists x', ok, admins, admins],
  ['drop namespace if exists x cascade', ok, admins, admins],
  ['create schema authorization x', no, admins, admins],
  ['create schema x create table t (a int)', no, admins, admins],
  ['create sequence s', ok, admins, admins],
  ["create type mood as enum ('sad')", ok, admins, admins],
  ['create domain d as int', ok, admins, admins],
  ["create function f() returns int language sql as 'select 1'", ok, admins, admins],
  ['create procedure p() begin atomic; insert into t values (1); end', ok, admins, admins],
  ['create trigger x after insert on t execute function f()', ok, admins, admins],
  ['create policy p on t to user using (true)', ok, admins, admins],
  ['create rule r as on insert to t do instead nothing', ok, admins, admins],
  ['create extension pg_trgm', ok, admins, admins],
  ['create statistics s on a, b from t', ok, admins, admins],
  ['grant select on t to user', ok, admins, admins],
  ["revoke all on t from public, 'alice' cascade", ok, admins, admins],
  ['alter default privileges grant select on tables to service', ok, admins, admins],
  ['alter default privileges for role x grant select on tables to user', no, admins, admins],
  ['grant x to y', no, no, no],
  ['grant pg_read_all_data to user', no, no, no],
  ['do $$begin end$$', ok, admins, admins],
  ['call p(1)', ok, admins, admins],
  ['vacuum t', ok, admins, admins],
  ['analyze', ok, admins, admins],
  ['cluster t using i', ok, admins, admins],
  ['reindex table t', ok, admins, admins],
  ['checkpoint', ok, admins, admins],
  ['refresh materialized view m', ok, admins, admins],
  ['create role x', no, no, no],
  ['create group x', no, no, no],
  ['alter role x superuser', no, no, no],
  ['alter role x set a = 1', no, no, no],
  ['drop role x', no, no, no],
  ['drop owned by x', no, no, no],
  ['reassign owned by x to y', no, no, no],
  ['create database x', no, no, no],
  ['alter database x set a = 1', no, no, no],
  ['drop database x', no, no, no],
  ["create tablespace x location '/x'", no, no, no],
  ['create event trigger x on ddl_command_end execute function f()', no, no, no],
  ['create language x handler f', no, no, no],
  ["load 'x'", no, no, no],
  ['alter system set a = 1', no, no, no],
  ['create publication p for all tables', no, no, no],
  ["create subscription s connection 'x' publication p", no, no, no],
  ['create foreign data wrapper x', no, no, no],
  ['create server x foreign data wrapper y', no, no, no],
  ['create foreign table x (a int) server y', no, no, no],
  ['create user mapping for x server y', no, no, no],
  ["alter user mapping for x server y options (a 'b')", no, no, no],
  ['drop user mapping if exists for x server y', no, no, no],
  ['import foreign schema x from server y into z', no, no, no],
  ["security label on table t is 'x'", no, no, no],
  ['discard all', no, no, no],
  ['discard temp', no, no, no],
  ['copy t from stdin', no, no, no],
  ['copy t to stdout', no, no, no],
  ["copy t from '/etc/passwd'", no, no, no],
  ["copy (select 1) to program 'sh'", no, no, no],
  ['prepare p as select 1', no, no, no],
  ['execute p(1)', no, no, no],
  ['deallocate all', no, no, no],
  // Schemas of the system.
  ['insert into kalam.users values (1)', no, no, admins],
  ['with x as (update kalam.users set a = 1 returning *) select 1', no, no, no],
  ['delete from system.users', no, no, admins],
  ['update pg_catalog.pg_class set relname = relname', no, no, admins],
  ["update pg_settings set setting = 'x'", no, no, admins],
  ['create table kalam.t (a int)', no, admins, admins],
  ['create table kalam_x.t (a int)', no, admins, admins],
  ['create table system.t as select 1', no, admins, admins],
  ['create view system.v as select 1', no, admins, admins],
  ['create index on kalam.t (a)', no, no, admins],
  ['alter table kalam.t add b int', no, no, admins],
  ['alter table t set schema kalam', no, admins, admins],
  ['alter sequence kalam.s restart', no, admins, admins],
  ['drop table app.t, kalam.users', no, no, admins],
  ['drop view system.users', no, admins, admins],
  ['drop schema app, kalam cascade', no, admins, admins],
  ['drop namespace system', no, admins, admins],
  ['create schema kalam', no, admins, admins],
  ['alter schema app rename to kalam_x', no, admins, admins],
  ['alter schema kalam rename to app', no, admins, admins],
  ['drop function kalam.uid()', no, admins, admins],
  ["create or replace function kalam.uid() returns text language sql as ''", no, admins, admins],
  ['alter function kalam.uid() volatile', no, admins, admins],
  ['alter function kalam.uid() rename to x', no, admins, admins],
  ['create trigger x after insert on kalam.users execute function f()', no, admins, admins],
  ['drop trigger x on kalam.users', no, admins, admins],
  ['drop policy x on kalam.users', no, admins, admins],
  ['create policy p on kalam.users using (true)', no, admins, admins],
  ['create rule r as on insert to kalam.users do instead nothing', no, admins, admins],
  ["create type kalam.t as enum ('a')", no, admins, admins],
  ['create type kalam.t as (a int)', no, admins, admins],
  ["alter type kalam.t add value 'a'", no, admins, admins],
  ['drop type kalam.t', no, admins, admins],
  ['create domain kalam.d as int', no, admins, admins],
  ['create aggregate kalam.a (int) (sfunc = f, stype = int)', no, admins, admins],
  ['comment on table kalam.users is null', no, admins, admins],
  ["comment on schema kalam is 'x'", no, admins, admins],
  ['comment on column kalam.users.name is null', no, admins, admins],
  ['grant select on kalam.users to user', no, admins, admins],
  ['grant usage on schema kalam to user', no, admins, admins],
  ['grant select on all tables in schema kalam to user', no, admins, admins],
  ['grant execute on function pg_catalog.set_config to user', no, admins, admins],
  ['lock kalam.users', no, no, admins],
  ['truncate kalam.users', no, no, admins],
  ['vacuum kalam.users', no, admins, admins],
  // Names that only look like them.
  ['drop trigger t on system', ok, admins, admins],
  ['drop cast (int as app.b)', ok, admins, admins],
  ['comment on column system.a is null', ok, admins, admins],
  [
    'create trigger x after insert on t execute function pg_catalog.tsvector_update_trigger()',
    ok,
    admins,
    admins,
  ],
  ['create domain d as pg_catalog.int4', ok, admins, admins],
]

describe('who may run what', () => {
  test.each(matrix)('%s', (sql, admin, user, reader) => {
    const outcomes = {
      admin: outcomeOf(sql),
      service: outcomeOf(sql, { role: 'service' }),
      user: outcomeOf(sql, { role: 'user' }),
      reader: outcomeOf(sql, { readOnly: true }),
    }
    expect(outcomes).toEqual({ admin, service: user, user, reader })
  })

  test('no key that may only read does more than its role', () => {
    for (const [sql, , user, reader] of matrix) {
      if (user === ok || reader !== ok) continue
      expect(outcomeOf(sql, { role: 'user', readOnly: true })).toBe(user)
    }
  })

  test('every refusal says why, and where', () => {
    for (const [sql, admin] of matrix) {
      if (admin === ok) continue
      const error = errorOf(`select 1; ${sql}`)
      expect(error.message.length).toBeGreaterThan(20)
      expect(error.fields.statement).toBe(1)
      expect(error.fields.position).toBeGreaterThan(10)
    }
  })

  test('the table has a reason for each statement that nobody may run', () => {
    for (const rule of Object.values(statementRules)) {
      if (rule.who === 'nobody') expect(rule.reason).not.toBe('')
    }
  })
})

describe('the Postgres wire has what HTTP has not', () => {
  test.each([
    ...['prepare p as select 1', 'execute p', 'deallocate all', 'close all', 'discard all'],
    ...['listen x', 'unlisten *', 'copy t from stdin', 'set role none', 'reset role'],
    ...['set session authorization default', 'set datestyle = german', 'set bytea_output = escape'],
    "set client_encoding = 'SQL_ASCII'",
  ])('%s', (sql) => {
    expect(outcomeOf(sql, { role: 'user' })).toBe(no)
    expect(outcomeOf(sql, { role: 'user', door: 'postgres' })).toBe(ok)
  })

  test.each([
    ...['prepare kalam1 as select 1', 'execute kalam1', 'deallocate kalam1', 'listen kalam_x'],
    ...[
      'set role kalam_admin',
      "set session authorization 'postgres'",
      "set client_encoding = 'LATIN1'",
    ],
    'unlisten kalam_x',
  ])('%s is refused there too', (sql) => {
    expect(outcomeOf(sql, { door: 'postgres' })).toBe(no)
  })

  test('a request with room for its data may copy, and has nothing else of the wire', () => {
    const context = { role: 'user', copies: true } as const
    expect(outcomeOf('copy t from stdin', context)).toBe(ok)
    expect(outcomeOf('copy (select 1) to stdout (format csv)', context)).toBe(ok)
    expect(outcomeOf("copy t from '/etc/passwd'", context)).toBe(no)
    expect(outcomeOf('listen x', context)).toBe(no)
  })

  test('what COPY does is read from its text', () => {
    const traits = (sql: string) => planSql(sql, { copies: true }).copy
    expect(traits('select 1')).toBeUndefined()
    expect(traits('copy t from stdin')).toEqual({ direction: 'from', format: 'text', isUtf8: true })
    expect(traits('copy binary t to stdout')?.format).toBe('binary')
    expect(traits('copy t to stdout csv')?.format).toBe('csv')
    expect(traits("copy t to stdout (FORMAT 'CSV', encoding 'UTF-8')")).toEqual({
      ...{ direction: 'to', format: 'csv', isUtf8: true },
    })
    expect(traits("copy t to stdout (encoding 'latin1')")?.isUtf8).toBe(false)
  })

  test.each([
    { door: 'postgres', readOnly: true },
    { copies: true, readOnly: true },
  ] as const)('a key that may only read copies nothing in: %o', (context) => {
    expect(outcomeOf('copy t from stdin', context)).toBe('FORBIDDEN')
    expect(outcomeOf('copy (delete from t returning *) to stdout', context)).toBe('FORBIDDEN')
    expect(outcomeOf('copy t to stdout', context)).toBe(ok)
  })
})

describe('settings', () => {
  const settings: readonly (readonly [string, string, string, string])[] = [
    ['set search_path = app', ok, ok, ok],
    ['set local search_path to app, public', ok, ok, ok],
    ["set schema 'app'", ok, ok, ok],
    ["set time zone 'Europe/Berlin'", ok, ok, ok],
    ["set timezone = 'UTC'", ok, ok, ok],
    ['set time zone local', ok, ok, ok],
    ["set app.tenant = 'x'", ok, ok, ok],
    ["set application_name = 'x'", ok, ok, ok],
    ['set enable_seqscan = off', ok, ok, ok],
    ['set transaction isolation level serializable', ok, ok, ok],
    ['set work_mem = 1000', ok, admins, ok],
    ['set maintenance_work_mem = 1000', ok, admins, ok],
    ['reset search_path', ok, ok, ok],
    ['reset all', ok, ok, admins],
    ['show all', ok, ok, ok],
    ['show search_path', ok, ok, ok],
    ['set role x', no, no, no],
    ['set role none', no, no, no],
    ["set role = 'x'", no, no, no],
    ['set "ROLE" = x', no, no, no],
    ['reset role', no, no, no],
    ['set local role x', no, no, no],
    ['set session role x', no, no, no],
    ['set session authorization x', no, no, no],
    ['set session authorization default', no, no, no],
    ['set local session authorization x', no, no, no],
    ['reset session authorization', no, no, no],
    ["set session_authorization = 'x'", no, no, no],
    ["set kalam.x = 'y'", no, no, no],
    ["set bonjour_name = 'x'", no, no, no],
    ['reset bonjour_name', no, no, no],
    ['set session_replication_role = replica', no, no, no],
    ['set synchronous_commit = off', no, no, no],
    ['set synchronous_commit = on', ok, ok, ok],
    ['set exit_on_error = on', no, no, no],
    ['set row_security = off', ok, admins, ok],
    ['set row_security = on', ok, ok, ok],
    ['reset row_security', ok, ok, ok],
    [
      "create function f() returns int language sql set row_security = off as ''",
      no,
      admins,
      admins,
    ],
    ['set standard_conforming_strings = off', no, no, no],
    ['set standard_conforming_strings = on', ok, ok, ok],
    ['set backslash_quote = on', no, no, no],
    ['set escape_string_warning = off', no, no, no],
    ['set transform_null_equals = on', no, no, no],
    ["set client_encoding = 'latin1'", no, no, no],
    ["set names 'latin1'", no, no, no],
    ["set names 'utf8'", ok, ok, ok],
    ["set client_encoding = 'UTF8'", ok, ok, ok],
    ["set datestyle = 'german'", no, no, no],
    ["set datestyle = 'ISO, DMY'", ok, ok, ok],
    ['set datestyle to iso, mdy', ok, ok, ok],
    ['set datestyle = default', ok, ok, ok],
    ["set intervalstyle = 'iso_8601'", no, no, no],
    ["set bytea_output = 'escape'", no, no, no],
    ['set extra_float_digits = 0', no, no, no],
    ['set extra_float_digits = 3', ok, ok, ok],
    ['set transaction read write', ok, ok, admins],
    ['set transaction read only', ok, ok, ok],
    ['set session characteristics as transaction read write', ok, ok, admins],
    ['set transaction_read_only = off', ok, ok, admins],
    ['set default_transaction_read_only = off', ok, ok, admins],
    ['reset default_transaction_read_only', ok, ok, admins],
    ["set transaction snapshot 'x'", no, no, no],
    ["create function f() returns int language sql set role = 'x' as ''", no, admins, admins],
    ["create function f() returns int language sql set search_path = '' as ''", ok, admins, admins],
    [
      "create function f() returns int language sql set datestyle = 'german' as ''",
      ok,
      admins,
      admins,
    ],
    ["alter function f set session_authorization = 'x'", no, admins, admins],
    ['alter function f reset all', ok, admins, admins],
  ]

  test.each(settings)('%s', (sql, admin, user, reader) => {
    const outcomes = {
      admin: outcomeOf(sql),
      user: outcomeOf(sql, { role: 'user' }),
      reader: outcomeOf(sql, { readOnly: true }),
    }
    expect(outcomes).toEqual({ admin, user, reader })
  })

  test('over the Postgres wire the session may choose its formats', () => {
    expect(outcomeOf("set datestyle = 'german'", { role: 'user', door: 'postgres' })).toBe(ok)
    expect(outcomeOf("set bytea_output = 'escape'", { role: 'user', door: 'postgres' })).toBe(ok)
  })
})

describe('roles in GRANT and REVOKE', () => {
  test.each([
    'grant select on t to kalam_sys',
    'grant select on t to "kalam_u_1"',
    'grant select on t to user, postgres',
    'grant select on t to pg_monitor',
    'grant select on t to session_user',
    'revoke all on t from kalam_reaper',
    'create policy p on t to kalam_reaper using (true)',
    'alter policy p on t to kalam_reaper',
    'alter default privileges grant select on tables to kalam_reaper',
    'alter default privileges revoke select on tables from kalam_reaper',
  ])('%s is refused', (sql) => {
    expect(outcomeOf(sql)).toBe(no)
  })

  test.each([
    'grant select on t to kalam_user',
    'revoke all on t from kalam_service, kalam_admin',
    'grant select on t to kalam_u_0f2c6d0bafd24a8e9d6cf5d3a1b2c3d4',
    'alter default privileges for role kalam_admin grant usage on schemas to public',
  ])('%s is allowed: dumps read so', (sql) => {
    expect(outcomeOf(sql)).toBe(ok)
  })

  test.each(['grant select on t to U&"kalam\\005fadmin"', "grant select on t to e'alice'"])(
    '%s does not hide a name',
    (sql) => {
      expect(outcomeOf(sql)).toBe('SYNTAX_ERROR')
    },
  )
})
