/**
 * Statements of every kind on the tables of neighbour-world.ts, for either of two users. Answers
 * are in an order that was asked for (another is PostgreSQL's choice, and may tell how full a page is),
 * and hold no number of a sequence: those are the one trace
 * of others that is documented (B2).
 */
import fc, { type Arbitrary } from 'fast-check'

export interface Call {
  readonly sql: string
  readonly params?: readonly unknown[]
  readonly transaction?: boolean
}

function sql(
  parts: TemplateStringsArray,
  ...holes: readonly (Arbitrary<string> | string)[]
): Arbitrary<string> {
  const drawn = holes.map((hole) => (typeof hole === 'string' ? fc.constant(hole) : hole))
  return fc.tuple(...drawn).map((values) => String.raw({ raw: parts }, ...values))
}

function one(...texts: readonly string[]): Arbitrary<string> {
  return fc.constantFrom(...texts)
}

const id = one('1', '2', '3', '4', '5', '6', '7', '8')
const idOrNull = one('1', '2', '3', '4', 'NULL')
const amount = one('0', '1', '12', '13', 'NULL')
const doc = one(`'{"a": 1}'`, `'[1, 2]'`, 'NULL')

/** @param name Is part of the user's texts, so that they can be told in an answer. */
function texts(name: string): Arbitrary<string> {
  return one("'a'", "'b'", "'7'", `'${name} one'`, `'${name} two'`)
}

const whichTodo = one(
  ...['true', 'id > 3', 'list_id = 1', "title LIKE '% one'", 'amount IS NULL', 'parent = id - 1'],
  ...[`doc @> '{"a": 1}'`, "lower(title) = 'a'", 'id IN (SELECT id FROM list)', 'id < 0'],
  ...['EXISTS (SELECT FROM list l WHERE l.id = list_id)', "title ~ 'o'", 'amount + 1 > 1'],
  `id IN (${Array.from({ length: 500 }, (_each, index) => index).join(', ')})`,
  `id = ANY ('{${Array.from({ length: 500 }, (_each, index) => 2 * index).join(', ')}}')`,
)

function write(name: string): Arbitrary<string> {
  const text = texts(name)
  const todoRow = sql`(${id}, ${idOrNull}, ${text}, ${amount}, ${doc})`
  const todoRows = fc.array(todoRow, { minLength: 1, maxLength: 3 }).map((rows) => rows.join(', '))
  return fc.oneof(
    sql`INSERT INTO list (id, name) VALUES (${id}, ${text}) RETURNING id, name`,
    sql`INSERT INTO list VALUES (${id}, ${text}) ON CONFLICT ${one('DO NOTHING', '(id) DO UPDATE SET name = excluded.name', '(name) DO UPDATE SET id = excluded.id')} RETURNING *`,
    sql`INSERT INTO todo (id, list_id, title, amount, doc) VALUES ${todoRows}`,
    sql`INSERT INTO todo (id, list_id, title, amount, doc) VALUES ${todoRows}
      ON CONFLICT ${one(
        ...['DO NOTHING', '(id) DO UPDATE SET title = excluded.title || todo.title'],
        ...['(list_id, title) DO UPDATE SET amount = 1', 'ON CONSTRAINT todo_pkey DO NOTHING'],
      )}`,
    sql`INSERT INTO todo (id, title) SELECT id + 100, title FROM todo WHERE ${whichTodo}`,
    sql`INSERT INTO event VALUES (${id}, ${text}) RETURNING id, note`,
    sql`INSERT INTO event (id, note) VALUES (${id}, ${text}) ON CONFLICT (id) DO NOTHING`,
    one('DELETE FROM event', 'UPDATE event SET note = NULL', 'TRUNCATE event'),
    sql`INSERT INTO tick (note) VALUES (${text}) RETURNING note`,
    sql`UPDATE todo SET amount = coalesce(amount, 0) + 1 WHERE ${whichTodo}`,
    sql`UPDATE todo SET title = ${text} WHERE id = ${id} RETURNING id, title, amount, _user_id`,
    sql`UPDATE todo SET id = id + 20 WHERE id = ${id} RETURNING id`,
    sql`UPDATE todo SET parent = ${idOrNull} WHERE id = ${id}`,
    sql`UPDATE list SET id = ${id} WHERE id = ${id} RETURNING *`,
    sql`UPDATE todo t SET doc = to_jsonb(l.name) FROM list l WHERE l.id = t.list_id`,
    sql`DELETE FROM todo WHERE ${whichTodo}`,
    sql`DELETE FROM todo WHERE id = ${id} RETURNING *`,
    sql`DELETE FROM list USING todo t WHERE t.list_id = list.id AND t.id = ${id}`,
    sql`DELETE FROM list WHERE id = ${id} RETURNING *`,
    sql`MERGE INTO todo t USING list l ON t.id = l.id WHEN MATCHED AND t.amount IS NULL THEN DELETE
      WHEN MATCHED THEN UPDATE SET amount = 2 WHEN NOT MATCHED THEN INSERT (id, title) VALUES (l.id, 'm' || l.id)`,
    sql`WITH gone AS (DELETE FROM todo WHERE ${whichTodo} RETURNING *) SELECT count(*), min(title) FROM gone`,
    sql`WITH new AS (INSERT INTO list (id) SELECT max(id) + 1 FROM list RETURNING id) SELECT id FROM new`,
    sql`INSERT INTO todo_view (id, title) VALUES (${id}, ${text})`,
    sql`UPDATE todo_view SET title = title || '!' WHERE id = ${id}`,
    sql`DELETE FROM todo_view WHERE id = ${id}`,
    sql`UNDELETE FROM todo WHERE id = ${id} RETURNING id, title`,
    sql`UNDELETE FROM list WHERE id = ${id}`,
    one('TRUNCATE todo', 'TRUNCATE TABLE tick'),
    one("SELECT add_todo(50, 'by a function')", "SELECT add_todo(1, 'by a function')"),
  )
}

const read = fc.oneof(
  sql`SELECT id, list_id, title, amount, doc FROM todo WHERE ${whichTodo} ORDER BY id`,
  sql`SELECT count(*), sum(amount), string_agg(title, ',' ORDER BY id) FROM todo WHERE ${whichTodo}`,
  sql`SELECT id, title, t._deleted FROM todo INCLUDE DELETED t WHERE ${whichTodo} ORDER BY id, t._deleted, title`,
  sql`SELECT count(*) FROM list INCLUDE DELETED l JOIN todo INCLUDE DELETED t ON t.list_id = l.id`,
  sql`SELECT l.id, l.name, count(t.id) FROM list l LEFT JOIN todo t ON t.list_id = l.id GROUP BY l.id ORDER BY l.id`,
  sql`SELECT id FROM todo WHERE ${whichTodo} ORDER BY id FOR UPDATE ${one('', 'NOWAIT', 'SKIP LOCKED')}`,
  sql`SELECT id FROM list WHERE id = ${id} FOR KEY SHARE`,
  sql`SELECT note FROM tick ORDER BY note`,
  sql`SELECT count(*), min(id) FROM event WHERE id > ${id}`,
  sql`SELECT *, _user_id FROM todo_view ORDER BY id`,
  sql`SELECT todo_count(), todo_count_of_definer(), list_names()`,
  sql`SELECT count(*) FROM todo WHERE 1 / (CASE WHEN title LIKE '%${one('alice', 'bob')}%' THEN 0 ELSE 1 END) = 1`,
  sql`SELECT title::int FROM todo WHERE id = ${id}`,
  sql`SELECT count(*) FROM todo WHERE tell(title) AND id = ${id}`,
  sql`SELECT max(tell_text(title)) FROM todo WHERE id < 0`,
  sql`SELECT id FROM todo WHERE amount / (id - ${id}) >= 0 ORDER BY id`,
  one(
    'SELECT note FROM tick WHERE note::int > 0',
    'SELECT (SELECT id FROM todo)',
    'TABLE kalam.changes',
  ),
)

function explain(name: string): Arbitrary<string> {
  return sql`EXPLAIN ${one(
    ...['', '(COSTS OFF)', '(VERBOSE, COSTS OFF)', '(FORMAT JSON)', '(COSTS ON)', '(SETTINGS)'],
  )} ${fc.oneof(read, write(name))}`
}

/** One request of one user. */
export function calls(name: string): Arbitrary<Call> {
  const statement = fc.oneof(
    { weight: 8, arbitrary: write(name) },
    { weight: 8, arbitrary: read },
    { weight: 1, arbitrary: explain(name) },
  )
  const inside = fc.oneof(
    { weight: 5, arbitrary: statement },
    {
      weight: 1,
      arbitrary: one(
        ...['SAVEPOINT a', 'ROLLBACK TO a', 'SET CONSTRAINTS ALL DEFERRED', 'LOCK TABLE todo'],
        ...['DECLARE c CURSOR FOR SELECT id, title FROM todo ORDER BY id', 'FETCH 2 FROM c'],
        ...['FETCH ALL FROM c', 'LOCK TABLE list IN SHARE MODE', 'CLOSE c'],
      ),
    },
  )
  const list = fc.array(inside, { minLength: 2, maxLength: 5 }).map((all) => all.join('; '))
  return fc.oneof(
    { weight: 6, arbitrary: statement.map((text): Call => ({ sql: text })) },
    { weight: 1, arbitrary: list.map((text): Call => ({ sql: text, transaction: true })) },
    {
      weight: 1,
      arbitrary: sql`BEGIN; SAVEPOINT a; ${list}; ${one('COMMIT', 'ROLLBACK')}`.map(
        (text): Call => ({ sql: text }),
      ),
    },
    {
      weight: 1,
      arbitrary: fc.tuple(fc.integer({ min: 1, max: 8 }), texts(name)).map(([key, text]): Call => ({
        sql: 'INSERT INTO todo (id, title) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET title = $2 RETURNING id, title, amount',
        params: [key, text.slice(1, -1)],
      })),
    },
    {
      weight: 1,
      arbitrary: fc.integer({ min: 1, max: 8 }).map((key): Call => ({
        sql: 'SELECT id, title FROM todo WHERE id >= $1 ORDER BY id',
        params: [key],
      })),
    },
  )
}

/** What a curious user asks of the database itself. Each is asked now and then, by one user. */
export const probes: readonly string[] = [
  // One of each error that a row can raise, whatever the random calls were.
  'INSERT INTO list (id) VALUES (901), (901)',
  "INSERT INTO todo (id, list_id, title) VALUES (901, 902, 'no such list')",
  "INSERT INTO todo (id, title, amount) VALUES (901, 'thirteen', 13)",
  "SELECT 'none'::int FROM (SELECT count(*) FROM todo) t",
  // The rows' places and transactions.
  ...['ctid', 'xmin', 'xmax', 'cmin', 'cmax', '"ctid"', 'CTID', String.raw`U&"\0063tid"`].flatMap(
    (column) => [
      `SELECT ${column} FROM todo ORDER BY id`,
      `SELECT t.${column}::text FROM todo AS t ORDER BY t.id`,
      `UPDATE todo SET amount = amount RETURNING ${column}`,
      `SELECT x.${column} FROM (SELECT ${column}, * FROM public.todo) x`,
    ],
  ),
  ...['ctid', 'xmin', 'cmin'].flatMap((column) => [
    `SELECT (todo).${column}::text FROM todo ORDER BY id`,
    `SELECT ${column}(t)::text FROM todo AS t ORDER BY t.id`,
  ]),
  'UPDATE todo AS t SET amount = amount RETURNING (t.*).xmax',
  'CREATE TEMP TABLE mine AS SELECT 1 AS id; SELECT (mine).xmin, xmin(mine) FROM mine',
  "SELECT id FROM todo WHERE ctid < '(1,0)' ORDER BY id",
  "SELECT id FROM todo WHERE ctid = '(0,3)'",
  'SELECT id FROM todo a WHERE EXISTS (SELECT FROM todo b WHERE b.ctid > a.ctid) ORDER BY id',
  'SELECT ctid FROM todo_view',
  'SELECT ctid FROM todo INCLUDE DELETED',
  'INSERT INTO tick (note) VALUES (1) RETURNING xmin',
  "MERGE INTO todo USING list ON todo.ctid = '(0,1)' WHEN MATCHED THEN DO NOTHING",
  'DELETE FROM todo WHERE id = -1 RETURNING cmin',
  "SELECT currtid2('todo', '(0,1)')",
  'SELECT id FROM todo TABLESAMPLE SYSTEM (50) REPEATABLE (1) ORDER BY id',
  'SELECT id FROM todo TABLESAMPLE BERNOULLI (50) REPEATABLE (1) ORDER BY id',
  'SELECT count(*) FROM todo TABLESAMPLE SYSTEM (100)',
  // Plans: shapes and numbers.
  'EXPLAIN SELECT * FROM todo',
  'EXPLAIN SELECT * FROM todo WHERE id = 1',
  "EXPLAIN SELECT * FROM todo WHERE title = 'a'",
  `EXPLAIN SELECT * FROM todo WHERE doc @> '{"a": 1}'`,
  'EXPLAIN SELECT * FROM todo JOIN list ON list.id = list_id ORDER BY title',
  'EXPLAIN (FORMAT JSON) SELECT count(*) FROM todo GROUP BY title',
  'EXPLAIN (COSTS) DELETE FROM todo',
  'EXPLAIN (VERBOSE) SELECT * FROM todo INCLUDE DELETED',
  'EXPLAIN (GENERIC_PLAN) SELECT * FROM todo WHERE id = $1',
  'EXPLAIN ANALYZE SELECT * FROM todo',
  'EXPLAIN (ANALYZE, TIMING OFF, BUFFERS OFF, SUMMARY OFF) SELECT * FROM todo',
  'EXPLAIN (MEMORY, SERIALIZE) SELECT * FROM todo',
  'EXPLAIN (COSTS OFF, COSTS ON) SELECT * FROM todo',
  // Statistics, sizes, counters.
  "SELECT reltuples, relpages FROM pg_class WHERE relname = 'todo'",
  'SELECT reltuples FROM pg_class c WHERE oid = $$todo$$::regclass',
  "SELECT to_jsonb(c) FROM pg_class c WHERE relname = 'todo'",
  "SELECT (pg_class).reltuples FROM pg_class WHERE relname = 'todo'",
  "SELECT count(*) FROM pg_class WHERE reltuples > 5 AND relname = 'todo'",
  "SELECT attname, n_distinct, most_common_vals FROM pg_stats WHERE tablename = 'todo'",
  'SELECT * FROM pg_stats_ext',
  "SELECT pg_relation_size('todo'), pg_table_size('list')",
  "SELECT pg_total_relation_size('todo'), pg_indexes_size('todo')",
  'SELECT pg_database_size(current_database())',
  "SELECT pg_tablespace_size('pg_default')",
  'SELECT pg_current_wal_lsn(), pg_current_wal_insert_lsn(), pg_current_wal_flush_lsn()',
  'SELECT pg_current_xact_id()',
  'SELECT txid_current()',
  'SELECT pg_current_snapshot(), txid_current_snapshot()',
  "SELECT age('3'::xid), mxid_age('1'::xid)",
  "SELECT pg_xact_status('1000'), pg_visible_in_snapshot('800', pg_current_snapshot())",
  'BEGIN; SELECT pg_current_xact_id_if_assigned(); COMMIT',
  'SELECT age(relfrozenxid) FROM pg_class WHERE oid = $$todo$$::regclass',
  "SELECT age(xmin) FROM pg_class WHERE relname = 'todo'",
  'SELECT relname, relfrozenxid FROM pg_class ORDER BY 1, 2',
  'SELECT datfrozenxid, age(datfrozenxid) FROM pg_database',
  'SELECT datfrozenxid, datminmxid FROM pg_database ORDER BY datname',
  'SELECT pg_my_temp_schema()',
  'SELECT oid, nspname FROM pg_namespace ORDER BY 1',
  'SELECT lastval()',
  "SELECT currval('todo_id_seq')",
  'CREATE TEMP TABLE mine (id int); SELECT xmin FROM mine',
  'CREATE TEMP TABLE mine AS SELECT 1 AS id; SELECT xmin::text, ctid::text FROM mine',
  'CREATE TEMP TABLE mine (id int); SELECT oid FROM pg_class WHERE relname = $$mine$$',
  // The twins, the log, the list of tables.
  'SELECT * FROM kalam.changes',
  'SELECT count(*) FROM kalam.changes',
  'SELECT * FROM kalam.log',
  'SELECT id, tab FROM kalam.tables ORDER BY id',
  'SELECT * FROM kalam.tables',
  'SELECT last_value FROM kalam.change_numbers',
  'SELECT nextval($$kalam.change_numbers$$)',
  'SELECT title FROM kalam_deleted.t2 ORDER BY 1',
  'SELECT * FROM kalam_deleted.t1 ORDER BY _deleted_seq',
  'SELECT _deleted_seq FROM kalam_deleted.t2 ORDER BY 1',
  'SELECT max(_deleted_seq) FROM kalam_deleted.t2',
  'SELECT ctid, xmin FROM kalam_deleted.t2 ORDER BY 1',
  "SELECT count(*) FROM kalam_deleted.t2 WHERE 1 / (CASE WHEN title LIKE 'bob%' THEN 0 ELSE 1 END) = 1",
  'SELECT count(*) FROM kalam_deleted.t2 WHERE tell(title) AND id = -5',
  "UPDATE kalam_deleted.t2 SET title = 'x'",
  "INSERT INTO kalam_deleted.t2 (id, title) VALUES (1, 'x')",
  'TRUNCATE kalam_deleted.t2',
  'EXPLAIN SELECT * FROM kalam_deleted.t2',
  "SELECT pg_relation_size('kalam_deleted.t2')",
  'SELECT tg_op FROM kalam.t2_del()',
  // Others by their keys, and rows in others' names.
  'SELECT DISTINCT _user_id FROM todo INCLUDE DELETED',
  "INSERT INTO todo (id, title, _user_id) VALUES (900, 'forged', 'root')",
  "INSERT INTO todo VALUES (901, 1, 'forged', 1, NULL, NULL, 'root')",
  "UPDATE todo SET _user_id = 'root'",
  'UPDATE todo SET _deleted = true',
  "INSERT INTO todo (id, title, _deleted) VALUES (902, 'x', true)",
  'SELECT id FROM todo WHERE _user_id <> kalam.uid()',
  "SELECT count(*) FROM todo WHERE _user_id > ''",
  'SELECT tableoid::regclass, count(*) FROM todo GROUP BY 1',
  'SET row_security = off; SELECT count(*) FROM todo',
  'SET row_security = off',
  "SELECT row_security_active('todo')",
  'COPY todo TO STDOUT',
  'LOCK TABLE todo IN ACCESS EXCLUSIVE MODE',
  'ANALYZE todo',
  'VACUUM todo',
  // Everything about the schema that there is to see.
  'SELECT * FROM system.tables ORDER BY 1, 2',
  "SELECT * FROM system.columns WHERE table_name = 'todo' ORDER BY 1, 2, 3",
  'SHOW TABLES',
  'DESCRIBE todo',
  'SELECT * FROM pg_locks',
  "SELECT setval('todo_id_seq', 1)",
  'SELECT last_value FROM todo_id_seq',
]
