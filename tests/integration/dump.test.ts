/**
 * K3: a script as pg_dump 18 writes it (`--inserts --no-privileges`), run over HTTP, makes managed
 * tables again: rows of each user, deletes that are kept, changes that are logged.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TableChange } from '#src/database/table-changes.js'
import { openTestServer, type TestServer } from '../support/server.js'

let server: TestServer
let alice: string
let bob: string
beforeAll(async () => {
  server = await openTestServer()
  alice = await server.createUser('alice')
  bob = await server.createUser('bob')
  const { rows } = await server.sql('SELECT name, user_id FROM system.users')
  const idOf = (name: string) => String(rows.find((row) => row['name'] === name)?.['user_id'])
  await server.sql(dumpOf(idOf('alice'), idOf('bob')))
})
afterAll(() => server.close())

const lastRows = async (sql: string, key?: string) =>
  (await server.sql(sql, key === undefined ? {} : { key })).rows

describe('K3: tables from a dump', () => {
  test('are of their kinds', async () => {
    expect(
      (await lastRows('SHOW TABLES IN app')).map(({ name, kind }) => [name, kind]).sort(),
    ).toEqual([
      ['lists', 'user table'],
      ['open', 'view'],
      ['pings', 'stream table'],
      ['plain', 'table'],
      ['prices', 'shared table'],
      ['todos', 'user table'],
    ])
  })

  test('have each user’s rows, for that user', async () => {
    const read = 'SELECT id, title, list_id FROM app.todos ORDER BY id'
    expect(await lastRows(read, alice)).toEqual([
      { id: 1, title: "milk'n", list_id: 1 },
      { id: 2, title: 'eggs', list_id: null },
    ])
    expect(await lastRows(read, bob)).toEqual([{ id: 1, title: 'tea', list_id: null }])
    expect(await lastRows(read)).toEqual([])
    expect(await lastRows('SELECT id FROM app.open', bob)).toEqual([{ id: 1 }])
  })

  test('keep deletes and bring them back, number on, and hold their keys', async () => {
    expect(
      await lastRows(`INSERT INTO app.todos (title) VALUES ('new') RETURNING id`, alice),
    ).toEqual([{ id: 3 }])
    await server.sql('DELETE FROM app.lists WHERE id = 1', { key: alice })
    expect(
      await lastRows('SELECT id, list_id FROM app.todos INCLUDE DELETED ORDER BY id', alice),
    ).toEqual([
      { id: 1, list_id: null },
      { id: 2, list_id: null },
      { id: 3, list_id: null },
    ])
    expect(await lastRows('UNDELETE FROM app.lists RETURNING name', alice)).toEqual([{ name: 'a' }])
    const again = await server.request(`INSERT INTO app.todos (title) VALUES ('eggs')`, {
      key: alice,
    })
    expect(again.body.error?.sqlstate).toBe('23505')
    await server.sql('DELETE FROM app.prices')
    expect(await lastRows('SELECT price FROM app.prices INCLUDE DELETED')).toEqual([
      { price: '1.50' },
    ])
  })

  test('log what changes', async () => {
    const seen: TableChange[] = []
    const watching = server.database.changes('app.lists').subscribe((change) => seen.push(change))
    // One of them comes after the watching has begun.
    for (let id = 10; seen.length === 0 && id < 100; id += 1)
      await server.sql(`INSERT INTO app.lists (id, name) VALUES (${id}, 'watched')`, { key: bob })
    watching.unsubscribe()
    expect(JSON.stringify(seen[0])).toContain('watched')
  })

  test('are guarded as others are', async () => {
    for (const sql of [
      'ALTER TABLE app.todos DISABLE ROW LEVEL SECURITY',
      'DROP POLICY kalam_own ON app.todos',
      'CREATE POLICY kalam_own ON app.prices USING (true)',
      'ALTER TABLE app.prices ENABLE ROW LEVEL SECURITY',
      'ALTER TABLE app.todos OWNER TO kalam_user',
      'ALTER SCHEMA app OWNER TO kalam_user',
      'CREATE TRIGGER kalam_ins AFTER INSERT ON app.plain EXECUTE FUNCTION app.f()',
    ])
      expect((await server.request(sql)).body.error?.code, sql).toBe('STATEMENT_REFUSED')
  })
})

function dumpOf(aliceId: string, bobId: string): string {
  const triggers = (table: string, id: number) =>
    [
      ['del', 'DELETE', ' REFERENCING OLD TABLE AS kalam_old'],
      ['ins', 'INSERT', ' REFERENCING NEW TABLE AS kalam_new'],
      ['upd', 'UPDATE', ' REFERENCING OLD TABLE AS kalam_old NEW TABLE AS kalam_new'],
      ['tru', 'TRUNCATE', ''],
    ]
      .map(
        ([name, event, tables]) =>
          `CREATE TRIGGER kalam_${name} ${name === 'tru' ? 'BEFORE' : 'AFTER'} ${event} ON app.${table}${tables} FOR EACH STATEMENT EXECUTE FUNCTION kalam.t${id}_${name}();`,
      )
      .join('\n')
  const own = (table: string) => `
    CREATE POLICY kalam_own ON app.${table} AS RESTRICTIVE USING ((_user_id = kalam.uid())) WITH CHECK ((_user_id = kalam.uid()));
    CREATE POLICY kalam_rows ON app.${table} USING (true) WITH CHECK (true);
    ALTER TABLE app.${table} ENABLE ROW LEVEL SECURITY;`
  return `
    SET statement_timeout = 0;
    SET lock_timeout = 0;
    SET idle_in_transaction_session_timeout = 0;
    SET transaction_timeout = 0;
    SET client_encoding = 'UTF8';
    SET standard_conforming_strings = on;
    SELECT pg_catalog.set_config('search_path', '', false);
    SET check_function_bodies = false;
    SET xmloption = content;
    SET client_min_messages = warning;
    SET row_security = off;
    CREATE SCHEMA app;
    ALTER SCHEMA app OWNER TO kalam_admin;
    SET default_tablespace = '';
    SET default_table_access_method = heap;
    CREATE TABLE app.lists (
      id integer NOT NULL,
      name text,
      _user_id text DEFAULT kalam.uid() NOT NULL,
      _deleted boolean GENERATED ALWAYS AS (false) STORED NOT NULL
    );
    ALTER TABLE ONLY app.lists FORCE ROW LEVEL SECURITY;
    ALTER TABLE app.lists OWNER TO kalam_admin;
    CREATE TABLE app.todos (
      id integer NOT NULL,
      title text NOT NULL,
      list_id integer,
      _user_id text DEFAULT kalam.uid() NOT NULL,
      _deleted boolean GENERATED ALWAYS AS (false) STORED NOT NULL
    );
    ALTER TABLE ONLY app.todos FORCE ROW LEVEL SECURITY;
    ALTER TABLE app.todos OWNER TO kalam_admin;
    ALTER TABLE app.todos ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
      SEQUENCE NAME app.todos_id_seq START WITH 1 INCREMENT BY 1 NO MINVALUE NO MAXVALUE CACHE 1
    );
    CREATE VIEW app.open WITH (security_invoker='true') AS SELECT id, title FROM app.todos;
    ALTER VIEW app.open OWNER TO kalam_admin;
    GRANT SELECT ON app.open TO PUBLIC;
    CREATE TABLE app.pings (
      id integer NOT NULL,
      _user_id text DEFAULT kalam.uid() NOT NULL,
      _expires_at timestamp with time zone DEFAULT (now() + '00:00:30'::interval) NOT NULL
    );
    ALTER TABLE ONLY app.pings FORCE ROW LEVEL SECURITY;
    CREATE TABLE app.prices (
      id integer NOT NULL,
      price numeric(10,2),
      _deleted boolean GENERATED ALWAYS AS (false) STORED NOT NULL
    );
    ALTER TABLE app.prices OWNER TO kalam_admin;
    CREATE TABLE app.plain (id integer NOT NULL);
    INSERT INTO app.lists VALUES (1, 'a', '${aliceId}', DEFAULT);
    INSERT INTO app.todos OVERRIDING SYSTEM VALUE VALUES (1, 'milk''n', 1, '${aliceId}', DEFAULT);
    INSERT INTO app.todos VALUES (2, 'eggs', NULL, '${aliceId}', DEFAULT);
    INSERT INTO app.todos (id, title, list_id, _user_id) VALUES (1, 'tea', NULL, '${bobId}');
    INSERT INTO app.prices VALUES (1, 1.50, DEFAULT);
    INSERT INTO app.plain VALUES (7);
    SELECT pg_catalog.setval('app.todos_id_seq', 2, true);
    ALTER TABLE ONLY app.lists ADD CONSTRAINT lists_pkey PRIMARY KEY (_user_id, id);
    ALTER TABLE ONLY app.pings ADD CONSTRAINT pings_pkey PRIMARY KEY (_user_id, id);
    ALTER TABLE ONLY app.plain ADD CONSTRAINT plain_pkey PRIMARY KEY (id);
    ALTER TABLE ONLY app.prices ADD CONSTRAINT prices_pkey PRIMARY KEY (id);
    ALTER TABLE ONLY app.todos ADD CONSTRAINT todos_pkey PRIMARY KEY (_user_id, id);
    ALTER TABLE ONLY app.todos ADD CONSTRAINT todos_title_key UNIQUE (_user_id, title);
    CREATE INDEX pings__expires_at_idx ON app.pings USING btree (_expires_at);
    CREATE INDEX todos__user_id_list_id_idx ON app.todos USING btree (_user_id, list_id);
    ${triggers('lists', 1)}
    ${triggers('pings', 3)}
    ${triggers('prices', 4)}
    ${triggers('todos', 2)}
    ALTER TABLE ONLY app.todos
      ADD CONSTRAINT todos_list_id_fkey FOREIGN KEY (_user_id, list_id) REFERENCES app.lists(_user_id, id) ON DELETE SET NULL (list_id);
    ${own('lists')}
    CREATE POLICY kalam_live ON app.pings AS RESTRICTIVE FOR SELECT USING ((_expires_at > now()));
    ${own('pings')}
    ${own('todos')}`
}
