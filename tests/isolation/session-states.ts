/**
 * What a session of the Postgres wire can leave in the one backend, and the statement in which it
 * would show to another. Rows of `wire-sessions.test.ts`.
 */
import { frame } from '../support/raw-wire-client.js'

/** Two sessions leave it, each with a value of its own. */
export type Whose = 'mine' | 'others'

export interface SessionState {
  readonly name: string
  /** The transaction that it is left in, where it is left in one. */
  readonly begin?: string
  /** A Query, or messages up to Sync. */
  readonly leave: (whose: Whose) => string | Uint8Array
  /** One statement that answers one value; a SELECT is asked in every way there is. */
  readonly look: string
  /** What its own session is answered. */
  readonly own: Readonly<Record<Whose, string>>
  /** What everybody else is answered: a value, or an SQLSTATE. */
  readonly none: string
  /** Whether a rollback of the transaction it was left in leaves it there. */
  readonly outlivesRollback?: boolean
}

export interface TransactionState {
  readonly name: string
  readonly begin: string
  readonly leave: string | Uint8Array
  readonly look: string
  readonly none: string
  /** What everybody is answered when it was committed; else as if it had never been. */
  readonly committed?: string
  /** Takes back what was committed. */
  readonly undo?: string
}

/** All that the states need, made once. */
export const schemaOfStates = `
  CREATE NAMESPACE attic; CREATE NAMESPACE cellar;
  CREATE SHARED TABLE attic.which (whose text PRIMARY KEY);
  CREATE USER TABLE cellar.which (whose text PRIMARY KEY);
  CREATE TABLE which (whose text); CREATE TABLE shadow (whose text);
  INSERT INTO attic.which VALUES ('attic'); INSERT INTO cellar.which VALUES ('cellar');
  INSERT INTO which VALUES ('public'); INSERT INTO shadow VALUES ('everybody');
  CREATE SEQUENCE numbers;
  CREATE TABLE plain (id int PRIMARY KEY);
  CREATE SHARED TABLE kept (id int PRIMARY KEY); INSERT INTO kept VALUES (1);
  CREATE USER TABLE owned (id int PRIMARY KEY);
  CREATE FUNCTION say(name text, value text) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN RETURN set_config(name, value, false); END $$`

const asNamed = { mine: 'mine', others: 'others' } as const
const bothTrue = { mine: 'true', others: 'true' } as const

function parseNamed(name: string, text: string): Uint8Array {
  return Buffer.concat([frame('P', `${name}\0${text}\0\0\0`), frame('S')])
}

/** Parse, Bind of a portal, one row of it, Sync. */
function suspendedPortal(portal: string, text: string): Uint8Array {
  return Buffer.concat([
    frame('P', `\0${text}\0\0\0`),
    frame('B', `${portal}\0\0\0\0\0\0\0\0`),
    frame('E', `${portal}\0\0\0\0\u0001`),
    frame('S'),
  ])
}

export const sessionStates: readonly SessionState[] = [
  {
    name: 'SET',
    leave: (whose) => `SET TimeZone = '${{ mine: 'Asia/Seoul', others: 'Asia/Tokyo' }[whose]}'`,
    look: `SELECT current_setting('TimeZone')`,
    own: { mine: 'Asia/Seoul', others: 'Asia/Tokyo' },
    none: 'UTC',
  },
  {
    name: 'SET of a format',
    leave: (whose) => `SET datestyle = ${{ mine: 'german', others: 'sql' }[whose]}`,
    look: `SELECT (date '2026-01-31')::text`,
    own: { mine: '31.01.2026', others: '01/31/2026' },
    none: '2026-01-31',
  },
  {
    name: 'SET of a name of one’s own',
    leave: (whose) => `SET app.set = '${whose}'`,
    look: `SELECT coalesce(current_setting('app.set', true), '')`,
    own: asNamed,
    none: '',
  },
  {
    name: 'set_config()',
    leave: (whose) => `SELECT set_config('app.called', '${whose}', false)`,
    look: `SELECT coalesce(current_setting('app.called', true), '')`,
    own: asNamed,
    none: '',
  },
  {
    name: 'set_config() in a function',
    leave: (whose) => `SELECT public.say('app.said', '${whose}')`,
    look: `SELECT coalesce(current_setting('app.said', true), '')`,
    own: asNamed,
    none: '',
  },
  {
    name: 'search_path',
    leave: (whose) => `SET search_path = ${{ mine: 'attic', others: 'cellar' }[whose]}`,
    look: 'SELECT whose FROM which',
    own: { mine: 'attic', others: 'cellar' },
    none: 'public',
  },
  {
    name: 'default_transaction_isolation',
    leave: (whose) =>
      `SET default_transaction_isolation = '${{ mine: 'serializable', others: 'repeatable read' }[whose]}'`,
    look: `SELECT current_setting('transaction_isolation')`,
    own: { mine: 'serializable', others: 'repeatable read' },
    none: 'read committed',
  },
  {
    // Of alice there is one row.
    name: 'row_security = off',
    leave: () => 'SET row_security = off',
    look: 'SELECT count(*)::text FROM app.todos',
    own: { mine: '1', others: '1' },
    none: '0',
  },
  {
    name: 'a temporary table',
    leave: (whose) => `CREATE TEMP TABLE shadow AS SELECT '${whose}'::text AS whose`,
    look: 'SELECT whose FROM shadow',
    own: asNamed,
    none: 'everybody',
  },
  {
    name: 'a temporary view',
    leave: (whose) => `CREATE TEMP VIEW looked AS SELECT '${whose}'::text AS whose`,
    look: 'SELECT whose FROM looked',
    own: asNamed,
    none: '42P01',
  },
  {
    name: 'a temporary sequence',
    leave: (whose) => `CREATE TEMP SEQUENCE counted START ${{ mine: 7, others: 8 }[whose]}`,
    look: 'SELECT last_value::text FROM counted',
    own: { mine: '7', others: '8' },
    none: '42P01',
  },
  {
    name: 'currval()',
    leave: () => `SELECT nextval('public.numbers')`,
    look: `SELECT (currval('numbers') > 0)::text`,
    own: bothTrue,
    none: '55000',
    outlivesRollback: true,
  },
  {
    name: 'lastval()',
    leave: () => `SELECT nextval('public.numbers')`,
    look: 'SELECT (lastval() > 0)::text',
    own: bothTrue,
    none: '55000',
    outlivesRollback: true,
  },
  {
    name: 'PREPARE',
    leave: (whose) => `PREPARE left_over AS SELECT '${whose}'::text`,
    look: 'EXECUTE left_over',
    own: asNamed,
    none: '26000',
    outlivesRollback: true,
  },
  {
    name: 'a prepared statement of the protocol',
    leave: (whose) => parseNamed('parsed', `SELECT '${whose}'::text`),
    look: 'EXECUTE parsed',
    own: asNamed,
    none: '26000',
    outlivesRollback: true,
  },
  {
    name: 'a cursor WITH HOLD',
    leave: (whose) => `DECLARE held SCROLL CURSOR WITH HOLD FOR SELECT '${whose}'::text`,
    look: 'FETCH FIRST FROM held',
    own: asNamed,
    none: '34000',
  },
  {
    // Whoever listens hears its own channel in the answer to what it notifies.
    name: 'LISTEN',
    leave: (whose) => `LISTEN ${whose}`,
    look: `SELECT pg_notify('mine', ''), pg_notify('others', '')`,
    own: asNamed,
    none: '',
  },
  {
    // The last: nothing can be made after it.
    name: 'default_transaction_read_only',
    leave: () => 'SET default_transaction_read_only = on',
    look: `SELECT current_setting('transaction_read_only')`,
    own: { mine: 'on', others: 'on' },
    none: 'off',
  },
]

export const transactionStates: readonly TransactionState[] = [
  {
    name: 'SET LOCAL',
    begin: 'BEGIN',
    leave: `SET LOCAL app.local = 'mine'`,
    look: `SELECT coalesce(current_setting('app.local', true), '')`,
    none: '',
  },
  {
    name: 'BEGIN READ ONLY',
    begin: 'BEGIN READ ONLY',
    leave: 'SELECT 1',
    look: `SELECT current_setting('transaction_read_only')`,
    none: 'off',
  },
  {
    name: 'SET TRANSACTION ISOLATION LEVEL',
    begin: 'BEGIN',
    leave: 'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE',
    look: `SELECT current_setting('transaction_isolation')`,
    none: 'read committed',
  },
  {
    name: 'a cursor',
    begin: 'BEGIN',
    leave: `DECLARE short CURSOR FOR SELECT 'mine'::text`,
    look: 'FETCH FIRST FROM short',
    none: '34000',
  },
  {
    name: 'a portal of the protocol, halfway',
    begin: 'BEGIN',
    leave: suspendedPortal('halfway', 'SELECT generate_series(1, 3)::text'),
    look: 'FETCH NEXT FROM halfway',
    none: '34000',
  },
  {
    name: 'rows of a plain table',
    begin: 'BEGIN',
    leave: 'INSERT INTO plain VALUES (1)',
    look: 'SELECT count(*)::text FROM plain',
    none: '0',
    committed: '1',
    undo: 'TRUNCATE plain',
  },
  {
    name: 'rows of a USER table',
    begin: 'BEGIN',
    leave: 'INSERT INTO owned VALUES (1)',
    look: 'SELECT count(*)::text FROM owned',
    none: '0',
    committed: '1',
    undo: 'DELETE FROM owned',
  },
  {
    name: 'soft deletes',
    begin: 'BEGIN',
    leave: 'DELETE FROM kept',
    look: 'SELECT count(*)::text FROM kept',
    none: '1',
    committed: '0',
    undo: 'UNDELETE FROM kept',
  },
  {
    name: 'a new table',
    begin: 'BEGIN',
    leave: 'CREATE USER TABLE app.half (id int PRIMARY KEY)',
    look: 'SELECT count(*)::text FROM app.half',
    none: '42P01',
    committed: '0',
    undo: 'DROP TABLE app.half',
  },
]
