/**
 * B11: what each statement does to each kind of table, answered as `COMMAND rows` or as
 * `CODE SQLSTATE`. docs/sql.md has the same table.
 */
export interface Row {
  readonly who: 'user' | 'admin'
  /** `app.t` stands for the table, `t_` for the beginning of its constraints' names. */
  readonly sql: string
  readonly outcomes: readonly [plain: string, shared: string, user: string, stream: string]
}

export const kinds = ['plain', 'shared', 'users', 'streams'] as const

/** The tables: rows 1 to 3 are live, 9 was deleted; all are of one user, who may read and write. */
export const setUp = `
CREATE NAMESPACE app;
CREATE TABLE app.plain (id integer PRIMARY KEY, a text, n integer UNIQUE);
CREATE SHARED TABLE app.shared (id integer PRIMARY KEY, a text, n integer UNIQUE);
CREATE USER TABLE app.users (id integer PRIMARY KEY, a text, n integer UNIQUE);
CREATE STREAM TABLE app.streams (id integer PRIMARY KEY, a text, n integer UNIQUE) TTL '1 hour';
GRANT SELECT, INSERT, UPDATE, DELETE ON app.plain, app.shared TO user`
export const fill = kinds
  .map((kind) => `INSERT INTO app.${kind} VALUES (1, 'a', 10), (2, 'b', 20), (3, 'c', 30);`)
  .join('')
export const deleteNine = ['plain', 'shared', 'users']
  .map(
    (kind) => `INSERT INTO app.${kind} VALUES (9, 'z', 90); DELETE FROM app.${kind} WHERE id = 9;`,
  )
  .join('')

/** COPY goes to an address of its own, where no transaction can be rolled back. */
export function isCopy({ sql }: Row): boolean {
  return sql.startsWith('COPY ')
}

/** The statement for one kind of table. */
export function statementFor(sql: string, kind: string): string {
  return sql.replaceAll('app.t', `app.${kind}`).replaceAll(/\bt_(?=pkey|n_key)/g, `${kind}_`)
}

const row =
  (who: Row['who']) =>
  (sql: string, ...outcomes: Row['outcomes']): Row => ({ who, sql, outcomes })
const user = row('user')
const admin = row('admin')

export const rows: readonly Row[] = [
  user('SELECT * FROM app.t', 'SELECT 3', 'SELECT 3', 'SELECT 3', 'SELECT 3'),
  user("SELECT id FROM app.t WHERE a LIKE 'a%'", 'SELECT 1', 'SELECT 1', 'SELECT 1', 'SELECT 1'),
  user('SELECT id, a FROM app.t GROUP BY id', 'SELECT 3', 'SELECT 3', 'SELECT 3', 'SELECT 3'),
  user(
    'SELECT id, a FROM app.t GROUP BY GROUPING SETS ((id))',
    'SELECT 3',
    'SELECT 3',
    'QUERY_REJECTED 42803',
    'QUERY_REJECTED 42803',
  ),
  user('SELECT * FROM app.t FOR UPDATE', 'SELECT 3', 'SELECT 3', 'SELECT 3', 'FORBIDDEN 42501'),
  user(
    'SELECT * FROM app.t INCLUDE DELETED',
    'STATEMENT_REFUSED 0A000',
    'SELECT 4',
    'SELECT 4',
    'STATEMENT_REFUSED 0A000',
  ),
  user(
    'SELECT ctid FROM app.t',
    'SELECT 3',
    'SELECT 3',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
  ),
  user(
    'EXPLAIN SELECT * FROM app.t',
    'FORBIDDEN 42501',
    'FORBIDDEN 42501',
    'FORBIDDEN 42501',
    'FORBIDDEN 42501',
  ),
  user(
    'EXPLAIN ANALYZE SELECT * FROM app.t',
    'FORBIDDEN 42501',
    'FORBIDDEN 42501',
    'FORBIDDEN 42501',
    'FORBIDDEN 42501',
  ),
  user("INSERT INTO app.t VALUES (4, 'd', 40)", 'INSERT 1', 'INSERT 1', 'INSERT 1', 'INSERT 1'),
  user(
    'INSERT INTO app.t (id) VALUES (4) RETURNING id',
    'INSERT 1',
    'INSERT 1',
    'INSERT 1',
    'INSERT 1',
  ),
  user("INSERT INTO app.t SELECT 4, 'd', 40", 'INSERT 1', 'INSERT 1', 'INSERT 1', 'INSERT 1'),
  user(
    'INSERT INTO app.t TABLE app.t ON CONFLICT DO NOTHING',
    'INSERT 0',
    'INSERT 0',
    'INSERT 0',
    'INSERT 0',
  ),
  user(
    'INSERT INTO app.t DEFAULT VALUES',
    'CONSTRAINT_VIOLATION 23502',
    'CONSTRAINT_VIOLATION 23502',
    'CONSTRAINT_VIOLATION 23502',
    'CONSTRAINT_VIOLATION 23502',
  ),
  user(
    "INSERT INTO app.t VALUES (4, 'd', 40, 'more')",
    'SYNTAX_ERROR 42601',
    'SYNTAX_ERROR 42601',
    'SYNTAX_ERROR 42601',
    'SYNTAX_ERROR 42601',
  ),
  user(
    "INSERT INTO app.t VALUES (1, 'x', 11)",
    'CONSTRAINT_VIOLATION 23505',
    'CONSTRAINT_VIOLATION 23505',
    'CONSTRAINT_VIOLATION 23505',
    'CONSTRAINT_VIOLATION 23505',
  ),
  user(
    "INSERT INTO app.t VALUES (4, 'x', 10)",
    'CONSTRAINT_VIOLATION 23505',
    'CONSTRAINT_VIOLATION 23505',
    'CONSTRAINT_VIOLATION 23505',
    'CONSTRAINT_VIOLATION 23505',
  ),
  user("INSERT INTO app.t VALUES (9, 'again', 90)", 'INSERT 1', 'INSERT 1', 'INSERT 1', 'INSERT 1'),
  user(
    "INSERT INTO app.t VALUES (1, 'x', 11) ON CONFLICT (id) DO UPDATE SET a = 'x'",
    'INSERT 1',
    'INSERT 1',
    'INSERT 1',
    'FORBIDDEN 42501',
  ),
  user(
    "INSERT INTO app.t VALUES (4, 'x', 10) ON CONFLICT (n) DO NOTHING",
    'INSERT 0',
    'INSERT 0',
    'INSERT 0',
    'INSERT 0',
  ),
  user(
    "INSERT INTO app.t VALUES (1, 'x', 11) ON CONFLICT DO NOTHING",
    'INSERT 0',
    'INSERT 0',
    'INSERT 0',
    'INSERT 0',
  ),
  user(
    "INSERT INTO app.t VALUES (1, 'x', 11) ON CONFLICT ON CONSTRAINT t_pkey DO NOTHING",
    'INSERT 0',
    'INSERT 0',
    'INSERT 0',
    'INSERT 0',
  ),
  user('UPDATE app.t SET a = a', 'UPDATE 3', 'UPDATE 3', 'UPDATE 3', 'FORBIDDEN 42501'),
  user(
    'UPDATE app.t SET id = id + 10 WHERE id = 1',
    'UPDATE 1',
    'UPDATE 1',
    'UPDATE 1',
    'FORBIDDEN 42501',
  ),
  user(
    "UPDATE app.t SET a = 'x' WHERE id = 9",
    'UPDATE 0',
    'UPDATE 0',
    'UPDATE 0',
    'FORBIDDEN 42501',
  ),
  user(
    'UPDATE app.t SET _deleted = true',
    'QUERY_REJECTED 42703',
    'QUERY_REJECTED 428C9',
    'QUERY_REJECTED 428C9',
    'QUERY_REJECTED 42703',
  ),
  user(
    "UPDATE app.t SET _user_id = 'x'",
    'QUERY_REJECTED 42703',
    'QUERY_REJECTED 42703',
    'FORBIDDEN 42501',
    'FORBIDDEN 42501',
  ),
  user(
    "DELETE FROM app.t WHERE a LIKE 'a%'",
    'DELETE 1',
    'DELETE 1',
    'DELETE 1',
    'FORBIDDEN 42501',
  ),
  user('DELETE FROM app.t WHERE id = 9', 'DELETE 0', 'DELETE 0', 'DELETE 0', 'FORBIDDEN 42501'),
  user(
    'DELETE FROM app.t USING (VALUES (1)) v (id) WHERE app.t.id = v.id RETURNING a',
    'DELETE 1',
    'DELETE 1',
    'DELETE 1',
    'FORBIDDEN 42501',
  ),
  user(
    'WITH gone AS (DELETE FROM app.t RETURNING id) SELECT * FROM gone',
    'SELECT 3',
    'SELECT 3',
    'SELECT 3',
    'FORBIDDEN 42501',
  ),
  user(
    "MERGE INTO app.t t USING (VALUES (1), (7)) v (id) ON t.id = v.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (v.id, 'm', 70)",
    'MERGE 2',
    'MERGE 2',
    'MERGE 2',
    'FORBIDDEN 42501',
  ),
  user(
    'UNDELETE FROM app.t WHERE id = 9 RETURNING a',
    'STATEMENT_REFUSED 0A000',
    'UNDELETE 1',
    'UNDELETE 1',
    'STATEMENT_REFUSED 0A000',
  ),
  user(
    'UNDELETE FROM app.t WHERE id = 1',
    'STATEMENT_REFUSED 0A000',
    'UNDELETE 0',
    'UNDELETE 0',
    'STATEMENT_REFUSED 0A000',
  ),
  user(
    "UPDATE app.t INCLUDE DELETED SET a = 'x'",
    'SYNTAX_ERROR 42601',
    'SYNTAX_ERROR 42601',
    'SYNTAX_ERROR 42601',
    'SYNTAX_ERROR 42601',
  ),
  user(
    'TRUNCATE app.t',
    'FORBIDDEN 42501',
    'FORBIDDEN 42501',
    'TRUNCATE TABLE 0',
    'STATEMENT_REFUSED 0A000',
  ),
  user('LOCK TABLE app.t', 'LOCK TABLE 0', 'LOCK TABLE 0', 'LOCK TABLE 0', 'FORBIDDEN 42501'),
  user('COPY app.t TO STDOUT', 'COPY 3', 'COPY 3', 'COPY 3', 'COPY 3'),
  user(
    'COPY (SELECT id FROM app.t INCLUDE DELETED) TO STDOUT',
    'STATEMENT_REFUSED 0A000',
    'COPY 4',
    'COPY 4',
    'STATEMENT_REFUSED 0A000',
  ),
  user(
    "COPY app.t TO '/tmp/t'",
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
  ),
  user('COPY app.t FROM STDIN', 'COPY 2', 'COPY 2', 'COPY 2', 'COPY 2'),
  user('COPY app.t (id) FROM STDIN WHERE false', 'COPY 0', 'COPY 0', 'COPY 0', 'COPY 0'),
  user(
    "COPY app.t FROM STDIN (DEFAULT '$')",
    'COPY 2',
    'COPY 2',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
  ),
  user(
    'CREATE TEMP TABLE x AS SELECT * FROM app.t',
    'SELECT 3',
    'SELECT 3',
    'SELECT 3',
    'SELECT 3',
  ),
  user(
    'ALTER TABLE app.t ADD b text',
    'FORBIDDEN 42501',
    'FORBIDDEN 42501',
    'FORBIDDEN 42501',
    'FORBIDDEN 42501',
  ),
  user(
    'DROP TABLE app.t',
    'FORBIDDEN 42501',
    'FORBIDDEN 42501',
    'FORBIDDEN 42501',
    'FORBIDDEN 42501',
  ),
  admin('SELECT * FROM app.t', 'SELECT 3', 'SELECT 3', 'SELECT 0', 'SELECT 0'),
  admin('EXPLAIN ANALYZE SELECT * FROM app.t', 'EXPLAIN 0', 'EXPLAIN 0', 'EXPLAIN 0', 'EXPLAIN 0'),
  admin('COPY app.t TO STDOUT', 'COPY 3', 'COPY 3', 'COPY 0', 'COPY 0'),
  admin('COPY app.t FROM STDIN', 'COPY 2', 'COPY 2', 'COPY 2', 'COPY 2'),
  admin(
    'TRUNCATE app.t',
    'TRUNCATE TABLE 0',
    'TRUNCATE TABLE 0',
    'TRUNCATE TABLE 0',
    'STATEMENT_REFUSED 0A000',
  ),
  admin(
    'TRUNCATE app.t RESTART IDENTITY',
    'TRUNCATE TABLE 0',
    'TRUNCATE TABLE 0',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
  ),
  admin(
    'TRUNCATE app.t CASCADE',
    'TRUNCATE TABLE 0',
    'TRUNCATE TABLE 0',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
  ),
  admin(
    'ALTER TABLE app.t ADD b text',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
  ),
  admin(
    'ALTER TABLE app.t ADD b text UNIQUE',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
  ),
  admin(
    'ALTER TABLE app.t ADD UNIQUE (a)',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
  ),
  admin(
    'ALTER TABLE app.t ADD _deleted_at timestamptz',
    'ALTER TABLE 0',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
  ),
  admin(
    'ALTER TABLE app.t ADD CHECK (n < 90)',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
  ),
  admin(
    'ALTER TABLE app.t ALTER n TYPE bigint',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
  ),
  admin(
    'ALTER TABLE app.t ALTER n SET NOT NULL',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
  ),
  admin(
    'ALTER TABLE app.t RENAME a TO b',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
  ),
  admin(
    'ALTER TABLE app.t RENAME TO renamed',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
  ),
  admin(
    'ALTER TABLE app.t SET SCHEMA public',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
  ),
  admin(
    'ALTER TABLE app.t DROP a',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
  ),
  admin(
    'ALTER TABLE app.t DROP id CASCADE',
    'ALTER TABLE 0',
    'QUERY_REJECTED 0A000',
    'QUERY_REJECTED 0A000',
    'QUERY_REJECTED 0A000',
  ),
  admin(
    'ALTER TABLE app.t DROP _deleted',
    'QUERY_REJECTED 42703',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
    'QUERY_REJECTED 42703',
  ),
  admin(
    'ALTER TABLE app.t DROP CONSTRAINT t_n_key',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
    'ALTER TABLE 0',
  ),
  admin(
    'ALTER TABLE app.t DROP CONSTRAINT t_pkey',
    'ALTER TABLE 0',
    'QUERY_REJECTED 0A000',
    'QUERY_REJECTED 0A000',
    'QUERY_REJECTED 0A000',
  ),
  admin(
    'ALTER TABLE app.t DISABLE TRIGGER ALL',
    'ALTER TABLE 0',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
  ),
  admin(
    'ALTER TABLE app.t DISABLE ROW LEVEL SECURITY',
    'ALTER TABLE 0',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
  ),
  admin(
    'ALTER TABLE app.t SET UNLOGGED',
    'ALTER TABLE 0',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
  ),
  admin(
    'ALTER TABLE app.t OWNER TO kalam_user',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
  ),
  admin(
    'CREATE INDEX ON app.t (a)',
    'CREATE INDEX 0',
    'CREATE INDEX 0',
    'CREATE INDEX 0',
    'CREATE INDEX 0',
  ),
  admin(
    'CREATE UNIQUE INDEX ON app.t (a)',
    'CREATE INDEX 0',
    'CREATE INDEX 0',
    'CREATE INDEX 0',
    'CREATE INDEX 0',
  ),
  admin(
    "CREATE INDEX ON app.t USING gin (to_tsvector('simple', a))",
    'CREATE INDEX 0',
    'CREATE INDEX 0',
    'CREATE INDEX 0',
    'CREATE INDEX 0',
  ),
  admin(
    'CREATE VIEW app.x AS SELECT * FROM app.t',
    'CREATE VIEW 0',
    'CREATE VIEW 0',
    'CREATE VIEW 0',
    'CREATE VIEW 0',
  ),
  admin(
    'CREATE MATERIALIZED VIEW app.x AS SELECT * FROM app.t',
    'SELECT 3',
    'SELECT 3',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
  ),
  admin(
    'CREATE TABLE app.x AS SELECT * FROM app.t',
    'SELECT 3',
    'SELECT 3',
    'SELECT 0',
    'SELECT 0',
  ),
  admin(
    'CREATE TABLE app.x (r integer REFERENCES app.t)',
    'CREATE TABLE 0',
    'CREATE TABLE 0',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
  ),
  admin(
    'CREATE SHARED TABLE app.x (id integer PRIMARY KEY REFERENCES app.t)',
    'CREATE TABLE 0',
    'CREATE TABLE 0',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
  ),
  admin(
    'CREATE USER TABLE app.x (id integer PRIMARY KEY REFERENCES app.t)',
    'CREATE TABLE 0',
    'CREATE TABLE 0',
    'CREATE TABLE 0',
    'STATEMENT_REFUSED 0A000',
  ),
  admin(
    'CREATE SHARED TABLE app.x (LIKE app.t, PRIMARY KEY (id))',
    'CREATE TABLE 0',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
  ),
  admin(
    'CREATE TABLE app.x () INHERITS (app.t)',
    'CREATE TABLE 0',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
  ),
  admin(
    'CREATE TRIGGER mine BEFORE UPDATE ON app.t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
    'CREATE TRIGGER 0',
    'CREATE TRIGGER 0',
    'CREATE TRIGGER 0',
    'CREATE TRIGGER 0',
  ),
  admin(
    'CREATE RULE mine AS ON DELETE TO app.t DO INSTEAD NOTHING',
    'CREATE RULE 0',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
  ),
  admin(
    'CREATE POLICY mine ON app.t AS RESTRICTIVE USING (n > 10)',
    'CREATE POLICY 0',
    'CREATE POLICY 0',
    'CREATE POLICY 0',
    'CREATE POLICY 0',
  ),
  admin(
    'DROP POLICY kalam_own ON app.t',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
    'STATEMENT_REFUSED 0A000',
  ),
  admin(
    "CREATE FUNCTION app.f() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM app.t'",
    'CREATE FUNCTION 0',
    'CREATE FUNCTION 0',
    'CREATE FUNCTION 0',
    'CREATE FUNCTION 0',
  ),
  admin(
    "CREATE FUNCTION app.f() RETURNS void LANGUAGE sql AS 'INSERT INTO app.t VALUES (1) ON CONFLICT (id) DO NOTHING'",
    'CREATE FUNCTION 0',
    'CREATE FUNCTION 0',
    'CREATE FUNCTION 0',
    'CREATE FUNCTION 0',
  ),
  admin("COMMENT ON TABLE app.t IS 'x'", 'COMMENT 0', 'COMMENT 0', 'COMMENT 0', 'COMMENT 0'),
  admin('GRANT SELECT ON app.t TO service', 'GRANT 0', 'GRANT 0', 'GRANT 0', 'GRANT 0'),
  admin('ANALYZE app.t', 'ANALYZE 0', 'ANALYZE 0', 'ANALYZE 0', 'ANALYZE 0'),
  admin('DROP TABLE app.t', 'DROP TABLE 0', 'DROP TABLE 0', 'DROP TABLE 0', 'DROP TABLE 0'),
]
