/**
 * Random requests over the tables of schema.ts. Values come from small sets, so that keys meet,
 * are deleted and used again; about one statement in four fails.
 *
 * What PostgreSQL leaves to the plan is kept out: statements over several rows break one kind of
 * constraint at most (or say `anyConstraint`), and rows that get a serial number are ordered.
 */
import fc, { type Arbitrary } from 'fast-check'
import type { Request, Statement } from '../../support/differential/request.js'
import { tables, type TableText } from './schema.js'

/** A template whose holes are drawn: `` sql`DELETE FROM parent WHERE id = ${id}` ``. */
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

function several(row: Arbitrary<string>, maxLength = 3): Arbitrary<string> {
  return fc.array(row, { minLength: 1, maxLength }).map((all) => all.join(', '))
}

function maybe(text: Arbitrary<string> | string): Arbitrary<string> {
  return fc.oneof(fc.constant(''), typeof text === 'string' ? fc.constant(text) : text)
}

const id = one('1', '2', '3', '4', '5', '6')
const idOrNull = fc.oneof({ weight: 5, arbitrary: id }, { weight: 1, arbitrary: one('NULL') })
const code = one("'a'", "'b'", "'c'", "'d'", "'it''s'", "'ü😀'", 'NULL')
const amount = one('0', '1.5', '2', '99999.99', '0.005', '-1', '1e7', 'NULL', 'DEFAULT')
const goodAmount = one('0', '1.5', '20', '3.14159', 'NULL')
const big = one('0', '1', '9007199254740993', '-9223372036854775808', 'DEFAULT')
const active = one('true', 'false', 'NULL', 'DEFAULT')
const at = one("'2026-03-01 12:00:00.123456+02'", "'1999-12-31 23:59:59Z'", 'DEFAULT')
const doc = one(`'{"a": [1, 2.50]}'`, `'"text"'`, "'null'", 'NULL', 'DEFAULT')
const label = one("'one'", "'two'", "'  three '", "'skip'", "''", 'NULL', "'ü'")
const rank = one('1', '2', '3', '4', 'NULL', 'DEFAULT')
const note = one("'n'", "'root'", "'keep'", 'NULL', 'DEFAULT')
const line = one('1', '2', '3', '0')

const ofParent = one(
  ...['', '', 'RETURNING id', 'RETURNING *', 'RETURNING id, code, amount + 1 AS more, at, doc'],
  'RETURNING (SELECT count(*) FROM child c WHERE c.parent_id = parent.id) AS children',
)
const ofChild = one('', 'RETURNING id', 'RETURNING *', 'RETURNING upper(label), rank')
const ofNode = one('', 'RETURNING id, up', 'RETURNING *')
const ofEntry = one('', 'RETURNING twice, seq', 'RETURNING *')

const whichParent = one(
  ...['id = 1', 'id = 2', 'id > 2', "code = 'a'", "code LIKE '%s'", 'amount IS NULL', 'active'],
  ...['id IN (SELECT parent_id FROM child)', 'NOT EXISTS (SELECT FROM child WHERE other_id = id)'],
  ...['id BETWEEN 2 AND 4', `doc @> '{"n": 1.5}'`, "at < '2020-01-01Z'", 'false', 'true'],
)

const insertParent = fc.oneof(
  sql`INSERT INTO parent (id, code, amount, big, active, at, doc) VALUES ${several(
    sql`(${id}, ${code}, ${amount}, ${big}, ${active}, ${at}, ${doc})`,
  )} ${ofParent}`,
  sql`INSERT INTO parent VALUES ${several(sql`(${idOrNull}, ${code}, ${goodAmount})`)} ${ofParent}`,
  sql`INSERT INTO parent (id) VALUES (${id}) ${ofParent}`,
  sql`INSERT INTO parent VALUES (${id}, ${code}, 1, 2, DEFAULT, ${at}, NULL, 'full') ${ofParent}`,
  sql`INSERT INTO parent VALUES (${id}, ${code}, 1, 2, DEFAULT, ${at}, NULL, 'full', 'too much')`,
  sql`INSERT INTO parent SELECT id + 30, code || 'x', amount, big, active, at, doc, late FROM parent ORDER BY id ${ofParent}`,
  sql`INSERT INTO parent SELECT id + ${one('2', '4', '10')}, NULL, amount FROM parent
    WHERE ${whichParent} ORDER BY id ${ofParent}`,
  sql`INSERT INTO parent (id, doc) SELECT g, to_jsonb(g) FROM generate_series(4, ${id}) g ${ofParent}`,
)

const onConflictOfParent = one(
  ...[
    'DO NOTHING',
    '(id) DO NOTHING',
    '(code) DO NOTHING',
    '(id) DO UPDATE SET code = excluded.code',
  ],
  '(id) DO UPDATE SET amount = parent.amount + excluded.amount, big = excluded.big',
  "(code) DO UPDATE SET active = false, doc = to_jsonb(excluded.id) WHERE parent.code <> 'b'",
  'ON CONSTRAINT parent_code_key DO UPDATE SET id = excluded.id',
  'ON CONSTRAINT parent_pkey DO UPDATE SET (amount, big) = (SELECT excluded.amount, 7)',
  '(id) WHERE true DO NOTHING',
  ...['(big) DO NOTHING', '(nosuch) DO NOTHING', 'DO UPDATE SET big = 1'],
)

const upsertParent = sql`INSERT INTO parent AS parent (id, code, amount) VALUES ${several(
  sql`(${id}, ${code}, ${goodAmount})`,
)} ON CONFLICT ${onConflictOfParent} ${ofParent}`

const updateParent = fc.oneof(
  sql`UPDATE parent SET amount = amount - ${one('1', '0.5', '0')} WHERE ${whichParent} ${ofParent}`,
  sql`UPDATE parent SET active = NOT active, at = at + interval '1 day' WHERE ${whichParent} ${ofParent}`,
  sql`UPDATE parent SET doc = jsonb_set(doc, '{n}', ${one("'2'", "'[1.10]'")}) WHERE ${whichParent} ${ofParent}`,
  sql`UPDATE parent SET id = ${id} WHERE id = ${id} ${ofParent}`,
  sql`UPDATE parent SET id = id + 10 WHERE id = ${id} ${ofParent}`,
  sql`UPDATE parent SET id = id - 10 WHERE id = 1${id} ${ofParent}`,
  sql`UPDATE parent SET code = ${code} WHERE id = ${id} ${ofParent}`,
  sql`UPDATE parent SET (code, amount) = (SELECT label, rank FROM child WHERE child.id = ${id}) WHERE id = ${id} ${ofParent}`,
  sql`UPDATE parent p SET big = c.sum FROM (SELECT parent_id, sum(rank)::int8 AS sum FROM child
    WHERE rank IS NOT NULL GROUP BY parent_id) c WHERE c.parent_id = p.id ${maybe('RETURNING p.id, c.sum, p.big')}`,
  sql`UPDATE parent SET big = DEFAULT, amount = 5 WHERE ${whichParent} ${ofParent}`,
)

const deleteParent = fc.oneof(
  sql`DELETE FROM parent WHERE ${whichParent} ${ofParent}`,
  sql`DELETE FROM parent WHERE id = ${id} ${ofParent}`,
  sql`DELETE FROM ONLY parent USING child WHERE child.parent_id = parent.id AND child.label = ${label}
    ${maybe('RETURNING parent.id')}`,
  sql`WITH old AS (SELECT id FROM parent WHERE ${whichParent}) DELETE FROM parent p USING old
    WHERE p.id = old.id RETURNING p.*`,
  sql`WITH moved AS (DELETE FROM parent WHERE id = ${id} RETURNING *)
    INSERT INTO parent SELECT id + 20, code, amount, big, active, at, doc FROM moved RETURNING id, code`,
)

const mergeParent = sql`MERGE INTO parent p USING (VALUES ${fc
  .uniqueArray(id, { minLength: 1, maxLength: 3 })
  .map((ids) => ids.map((each) => `(${each}, 'm${each}', ${each}.25)`).join(', '))})
  AS s (id, code, amount) ON p.id = s.id
  ${maybe('WHEN MATCHED AND p.amount IS NULL THEN DELETE')}
  ${one(
    'WHEN MATCHED THEN UPDATE SET amount = p.amount + s.amount, code = s.code',
    ...['WHEN MATCHED THEN DO NOTHING', "WHEN MATCHED AND p.code = 'a' THEN UPDATE SET big = 3"],
  )}
  ${one(
    'WHEN NOT MATCHED THEN INSERT (id, code, amount) VALUES (s.id, s.code, s.amount)',
    ...['WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.code)', 'WHEN NOT MATCHED THEN DO NOTHING'],
  )}`

const insertChild = fc.oneof(
  sql`INSERT INTO child (parent_id, other_id, label, rank) VALUES ${several(
    sql`(${idOrNull}, ${idOrNull}, ${label}, ${rank})`,
  )} ${ofChild}`,
  sql`INSERT INTO child VALUES (${one('DEFAULT', '1', '2', '7')}, ${id}, NULL, ${label}) ${ofChild}`,
  sql`INSERT INTO child (parent_id, label) SELECT id, coalesce(code, 'x') FROM parent
    WHERE ${whichParent} ORDER BY id ${ofChild}`,
  sql`INSERT INTO child (parent_id, label, rank) VALUES ${several(sql`(${id}, ${label}, ${rank})`)}
    ON CONFLICT ${one(
      ...['DO NOTHING', '(parent_id, label) DO UPDATE SET rank = NULL', '(rank) DO NOTHING'],
      '(label, parent_id) DO UPDATE SET label = child.label || 2, other_id = excluded.parent_id',
      'ON CONSTRAINT child_order DO NOTHING',
    )} ${ofChild}`,
)

const whichChild = one(
  ...['parent_id = 1', 'rank > 1', 'label = $$one$$', 'parent_id IS NULL', 'true', 'id % 2 = 0'],
  'parent_id IN (SELECT id FROM parent WHERE active)',
)

const changeChild = fc.oneof(
  // Checked when the statement ends: whatever the order, the same.
  sql`UPDATE child SET rank = rank + ${one('1', '-1')} WHERE ${whichChild} ${ofChild}`,
  sql`UPDATE child SET rank = 5 - rank ${ofChild}`,
  sql`UPDATE child SET parent_id = ${idOrNull} WHERE id = ${id} ${ofChild}`,
  sql`UPDATE child SET label = ${label} WHERE id = ${id} ${ofChild}`,
  sql`UPDATE child SET other_id = ${idOrNull} WHERE ${whichChild} ${ofChild}`,
  sql`UPDATE child SET id = ${id} WHERE id = ${id} ${ofChild}`,
  sql`DELETE FROM child WHERE ${whichChild} ${ofChild}`,
  sql`SELECT * FROM drop_children(${id}) AS id ORDER BY id`,
  sql`MERGE INTO child c USING parent p ON c.parent_id = p.id AND c.label = ${label}
    WHEN MATCHED THEN DELETE WHEN NOT MATCHED AND p.active
    THEN INSERT (id, parent_id, label) VALUES (p.id + 100, p.id, 'merged' || p.id)`,
)

const changeNode = fc.oneof(
  sql`INSERT INTO node (up, note, score) VALUES ${several(sql`(${idOrNull}, ${note}, ${goodAmount})`)} ${ofNode}`,
  sql`INSERT INTO node (id, up, tag) VALUES (${id}, ${idOrNull}, ${idOrNull}) ${ofNode}`,
  sql`INSERT INTO node (id, note) OVERRIDING USER VALUE VALUES (${id}, ${note}) ${ofNode}`,
  sql`INSERT INTO node (id, up) VALUES (${id}, NULL) ON CONFLICT (id) DO UPDATE SET up = excluded.id RETURNING id, up, note`,
  sql`INSERT INTO node DEFAULT VALUES ${ofNode}`,
  sql`INSERT INTO node VALUES (${id}, ${idOrNull}, 1, ${note}, NULL, ${one('4', 'DEFAULT', '0')}) ${ofNode}`,
  sql`INSERT INTO node VALUES (DEFAULT, ${idOrNull}), (DEFAULT, NULL) ${ofNode}`,
  sql`UPDATE node SET up = ${idOrNull} WHERE id = ${id} ${ofNode}`,
  sql`UPDATE node SET id = id + 10 WHERE id = ${id} ${ofNode}`,
  sql`UPDATE node SET score = coalesce(score, 0) + id WHERE note ${one("= 'n'", 'IS NULL')} ${ofNode}`,
  sql`UPDATE node SET note = ${note} WHERE id = ${id} ${ofNode}`,
  sql`DELETE FROM node WHERE id = ${id} ${ofNode}`,
  sql`DELETE FROM node WHERE ${one("note = 'n'", 'up IS NULL', 'tag = 1', 'true')} ${ofNode}`,
)

const changeEntry = fc.oneof(
  sql`INSERT INTO entry (parent_id, line, code, doc) VALUES ${several(
    sql`(${id}, ${line}, ${one("'a'", "'b'", "'d'", 'NULL', "'nosuch'")}, ${one("'[1]'", 'NULL')})`,
  )} ${ofEntry}`,
  sql`INSERT INTO entry VALUES (${id}, ${line}) ${ofEntry}`,
  sql`INSERT INTO entry (parent_id, line, seq) ${maybe('OVERRIDING SYSTEM VALUE')} VALUES (${id}, ${line}, 99) ${ofEntry}`,
  sql`INSERT INTO entry (parent_id, line, twice) VALUES (${id}, ${line}, 4)`,
  sql`INSERT INTO entry (parent_id, line) VALUES (${id}, ${line}) ON CONFLICT ${one(
    ...['(line, parent_id) DO UPDATE SET doc = to_jsonb(entry.twice)', 'DO NOTHING'],
    ...['(parent_id) WHERE line = 1 DO UPDATE SET line = 9', '(parent_id) DO NOTHING'],
    'ON CONSTRAINT entry_pkey DO UPDATE SET code = NULL',
  )} ${ofEntry}`,
  sql`UPDATE entry SET line = ${line} WHERE parent_id = ${id} AND line = ${line} ${ofEntry}`,
  sql`UPDATE entry SET parent_id = ${idOrNull} WHERE parent_id = ${id} AND line = ${line} ${ofEntry}`,
  sql`UPDATE entry SET code = ${code} WHERE parent_id = ${id} ${ofEntry}`,
  sql`UPDATE entry SET doc = '[]', twice = DEFAULT WHERE line > 1 ${ofEntry}`,
  sql`DELETE FROM entry WHERE ${one('line = 1', 'parent_id = 1', 'code IS NULL', 'true')} ${ofEntry}`,
)

const nested = fc.oneof(
  sql`WITH gone AS (DELETE FROM child WHERE ${whichChild} RETURNING *)
    INSERT INTO node (note, score) SELECT label, rank FROM gone ORDER BY id RETURNING note, score`,
  sql`WITH changed AS (UPDATE parent SET big = big + 1 WHERE id < 3 RETURNING id, big),
    added AS (INSERT INTO child (parent_id, label) SELECT id, 'w' FROM parent WHERE id = ${id}
    ON CONFLICT (parent_id, label) DO NOTHING RETURNING id, parent_id)
    SELECT (SELECT count(*) FROM changed), (SELECT max(parent_id) FROM added), (SELECT count(*) FROM child)`,
  sql`WITH gone AS (DELETE FROM entry RETURNING parent_id, line), more AS (DELETE FROM node WHERE up = ${id} RETURNING id)
    SELECT (SELECT sum(line) FROM gone), (SELECT count(*) FROM more), (SELECT count(*) FROM entry)`,
  // The key is deleted and used again within one statement.
  sql`WITH moved AS (DELETE FROM node WHERE id = ${id} RETURNING *)
    INSERT INTO node (id, up, note) SELECT id, NULL, 'moved' FROM moved RETURNING id, note`,
  sql`WITH gone AS (DELETE FROM child WHERE id = ${id} RETURNING *), again AS (
    INSERT INTO child SELECT id, parent_id, other_id, label, rank FROM gone RETURNING id) SELECT * FROM again`,
  sql`WITH x AS (UPDATE child SET label = label || '.' WHERE id = ${id} RETURNING *)
    UPDATE parent SET amount = 7 FROM x WHERE x.parent_id = parent.id RETURNING parent.id, x.label`,
  sql`UPDATE parent SET late = (SELECT string_agg(c.label, ',' ORDER BY c.id) FROM child c WHERE c.parent_id = parent.id)
    ${ofParent}`,
  sql`SELECT * FROM upsert_parent(${id}, ${code})`,
  sql`SELECT upsert_atomic(${id}, ${code})`,
  sql`SELECT upsert_block(${id}, ${code})`,
  sql`INSERT INTO rich (id, code, amount) VALUES (${id}, ${code}, 5) ON CONFLICT DO NOTHING RETURNING id`,
  sql`SELECT attempt(${one(
    ...["'DELETE FROM parent WHERE id = 1'", "'DELETE FROM parent WHERE id = 3'"],
    ...[`'INSERT INTO parent (id) VALUES (1)'`, "'UPDATE child SET rank = 1 WHERE id < 3'"],
    ...["'DELETE FROM entry'", "'UPDATE parent SET amount = -1 WHERE id = 2'"],
  )})`,
  sql`INSERT INTO rich (id, code, amount) VALUES (${id}, ${code}, ${goodAmount}) RETURNING *`,
  sql`UPDATE rich SET amount = amount - 1 WHERE id = ${id} RETURNING id, amount`,
  sql`DELETE FROM rich WHERE id = ${id}`,
  one('TRUNCATE entry', 'TRUNCATE TABLE child', 'TRUNCATE entry, ONLY child'),
)

const ask = fc.oneof(
  one(
    `SELECT p.id, p.code, p.doc, count(c.id) AS children, sum(c.rank) FROM parent p LEFT JOIN child c ON c.parent_id = p.id
       GROUP BY p.id ORDER BY p.id`,
    'SELECT id, code, count(*) FROM parent GROUP BY id ORDER BY id',
    'SELECT parent.*, max(entry.line) FROM entry JOIN parent ON parent.id = parent_id GROUP BY parent.id ORDER BY 1',
    'SELECT to_jsonb(line), twice, count(*) FROM entry GROUP BY parent_id, line ORDER BY parent_id, line',
    'SELECT count(*), count(code), sum(amount), max(at), bool_or(active) FROM parent',
    `WITH RECURSIVE tree AS (SELECT id, up, 0 AS depth FROM node WHERE up IS NULL
       UNION ALL SELECT n.id, n.up, depth + 1 FROM node n JOIN tree t ON n.up = t.id WHERE depth < 9)
       SELECT * FROM tree ORDER BY depth, id`,
    `SELECT DISTINCT ON (parent_id) parent_id, label, row_number() OVER w FROM child
       WINDOW w AS (PARTITION BY parent_id ORDER BY id) ORDER BY parent_id, id`,
    'SELECT * FROM entry JOIN parent USING (code) ORDER BY line, seq',
    'SELECT * FROM rich ORDER BY id FOR SHARE',
    'SELECT id FROM parent EXCEPT SELECT parent_id FROM child ORDER BY 1',
    'SELECT json_agg(json_build_object($$id$$, id, $$n$$, amount) ORDER BY id) FROM parent',
    'TABLE child',
    'SELECT p FROM (SELECT id, doc FROM parent) p ORDER BY id',
    'SELECT parent_id, (SELECT code FROM parent WHERE parent.id = entry.parent_id) FROM entry',
    'SELECT id FROM parent WHERE id = 1 FOR UPDATE',
  ),
)

const mistake = one(
  ...['SELECT nosuch FROM parent', 'SELECT * FROM nosuch', 'UPDATE parent SET nosuch = 1'],
  ...['INSERT INTO parent (id, id) VALUES (1, 2)', 'INSERT INTO parent (id) VALUES (1, 2)'],
  ...['INSERT INTO parent (id, code) VALUES (1)', "SELECT 'ü', 1 / 0", "SELECT 'x'::int"],
  ...['SELECT id FROM parent JOIN child ON true', 'SELECT code FROM parent GROUP BY active'],
  ...['SELECT parent.id FROM parent p', 'SELECT (SELECT id FROM child) FROM parent'],
  ...["DELETE FROM parent WHERE id = 'ü'", 'DELETE FROM parent p WHERE parent.id = 1'],
  ...['UPDATE entry SET seq = 5', 'UPDATE entry SET twice = 5'],
  ...[
    'INSERT INTO parent (id, big) VALUES (50, NULL)',
    'INSERT INTO parent (id) VALUES (3000000000)',
  ],
  ...['SELECT * FROM parent p, child p', 'INSERT INTO child (id) SELECT code FROM parent'],
  ...["UPDATE parent SET at = 'never' WHERE false", "INSERT INTO entry VALUES (1, 1, 1, 'a')"],
  ...['WITH x AS (SELECT 1) DELETE FROM x', 'SELECT sum(sum(id)) FROM parent'],
  'MERGE INTO parent USING child ON true WHEN MATCHED THEN UPDATE SET id = 7, id = 8',
)

/** Alone only: KalamDB, like PostgreSQL's simple protocol, reads all of a text before it runs any. */
const misspelt = one(
  'SELEC 1',
  'SELECT 1 FROM',
  "INSERT INTO parent VALUES (1, 'ü' 'b')",
  'SELECT 1)',
)

/** `INCLUDE DELETED`: natively a union with what the triggers kept. */
const includeDeleted: Arbitrary<Statement> = fc
  .tuple(
    fc.constantFrom(...tables),
    one(
      'SELECT COLUMNS, x._deleted AS is_gone FROM TABLE',
      'SELECT count(*), count(*) FILTER (WHERE x._deleted) AS gone FROM TABLE',
      'SELECT COLUMNS FROM TABLE WHERE x._deleted',
      'SELECT count(*) FROM TABLE JOIN parent p ON p.id = x.KEY',
    ),
  )
  .map(([table, text]) => {
    const columns = table.columns.join(', ')
    const union = `(SELECT ${columns}, false AS _deleted FROM ${table.name}
      UNION ALL SELECT ${columns}, true FROM ${table.name}_gone) x`
    const named = text
      .replace('COLUMNS', table.columns.map((column) => `x.${column}`).join(', '))
      .replace('KEY', table.key[0] ?? '')
    return {
      text: named.replace('TABLE', `${table.name} INCLUDE DELETED x`),
      native: named.replace('TABLE', union),
    }
  })

/** `UNDELETE`: natively out of what the triggers kept, the newest of each key. */
const undelete: Arbitrary<Statement> = fc
  .tuple(fc.constantFrom(...tables), id, fc.boolean())
  .map(([table, key, returns]) => undeleteOf(table, key, returns))

function undeleteOf(table: TableText, key: string, returns: boolean): Statement {
  const { name, columns } = table
  const where = table.key.length === 1 ? `id = ${key}` : `parent_id = ${key} AND line = 1`
  const keys = table.key.join(', ')
  const returning = returns ? `RETURNING ${columns.join(', ')}` : ''
  return {
    text: `UNDELETE FROM ${name} WHERE ${where} ${returning}`,
    native: `WITH gone AS (DELETE FROM ${name}_gone WHERE gone_seq IN (
        SELECT DISTINCT ON (${keys}) gone_seq FROM ${name}_gone WHERE ${where}
        ORDER BY ${keys}, gone_seq DESC) RETURNING *)
      INSERT INTO ${name} (${columns.join(', ')}) OVERRIDING SYSTEM VALUE
        SELECT ${columns.join(', ')} FROM gone ${returning}`,
    command: 'UNDELETE',
  }
}

const withParameters: Arbitrary<Statement> = fc.oneof(
  fc
    .tuple(fc.integer({ min: 1, max: 6 }), fc.constantFrom('a', 'b', null, "x'y"))
    .map(([key, text]) => ({
      text: 'INSERT INTO parent (id, code) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET code = $2 RETURNING id, code',
      params: [String(key), text],
    })),
  fc.integer({ min: 1, max: 6 }).map((key) => ({
    text: 'DELETE FROM child WHERE parent_id = $1 RETURNING id, label',
    params: [String(key)],
  })),
  fc.constantFrom('1.25', '-3').map((amountText) => ({
    text: 'UPDATE parent SET amount = $1 WHERE id = 2 RETURNING *',
    params: [amountText],
  })),
)

export interface StatementOptions {
  /** INCLUDE DELETED and UNDELETE, which plain tables do not have. */
  readonly isManaged: boolean
}

function statement({ isManaged }: StatementOptions): Arbitrary<Statement> {
  const plain = (weight: number, text: Arbitrary<string>) => ({
    weight,
    arbitrary: text.map((each): Statement => ({ text: each.replaceAll(/\s+/gu, ' ').trim() })),
  })
  return fc.oneof(
    plain(4, insertParent),
    plain(4, upsertParent),
    plain(4, updateParent),
    {
      weight: 3,
      arbitrary: deleteParent.map((text): Statement => ({ text, anyConstraint: true })),
    },
    plain(3, mergeParent),
    plain(4, insertChild),
    plain(4, changeChild),
    plain(4, changeNode),
    plain(4, changeEntry),
    plain(4, nested),
    plain(3, ask),
    plain(2, mistake),
    { weight: 2, arbitrary: withParameters },
    ...(isManaged
      ? [
          { weight: 3, arbitrary: includeDeleted },
          { weight: 3, arbitrary: undelete },
        ]
      : []),
  )
}

const savepoint: Arbitrary<Statement> = one(
  ...['SAVEPOINT a', 'ROLLBACK TO a', 'RELEASE a', 'SAVEPOINT b', 'ROLLBACK TO SAVEPOINT b'],
  ...['SET CONSTRAINTS ALL DEFERRED', 'SET CONSTRAINTS ALL IMMEDIATE'],
  'SET CONSTRAINTS child_order DEFERRED',
).map((text) => ({ text }))

const cursor: Arbitrary<readonly Statement[]> = fc
  .tuple(
    id,
    one(
      'UPDATE parent SET big = 5 WHERE CURRENT OF c',
      'DELETE FROM parent WHERE CURRENT OF c RETURNING id',
    ),
  )
  .map(([key, change]) =>
    [
      `DECLARE c CURSOR FOR SELECT id FROM parent WHERE id = ${key} FOR UPDATE`,
      ...[
        'FETCH FROM c',
        change,
        'CLOSE c',
        'DECLARE c CURSOR FOR SELECT * FROM child ORDER BY id',
      ],
      ...['MOVE 1 FROM c', 'FETCH ALL FROM c', 'CLOSE c'],
    ].map((text) => ({ text })),
  )

const begin = { text: 'BEGIN' } as const satisfies Statement

function request(options: StatementOptions): Arbitrary<Request> {
  const any = statement(options)
  const inside = fc.oneof({ weight: 4, arbitrary: any }, { weight: 2, arbitrary: savepoint })
  const list = fc.array(inside, { minLength: 1, maxLength: 5 })
  const single = fc.oneof(
    { weight: 50, arbitrary: any },
    { weight: 1, arbitrary: misspelt.map((text) => ({ text })) },
  )
  const alone = single.map((each): Request => ({ mode: 'each', statements: [each] }))
  return fc.oneof(
    { weight: 6, arbitrary: alone },
    {
      weight: 1,
      arbitrary: fc
        .array(any, { minLength: 2, maxLength: 3 })
        .map((statements): Request => ({ mode: 'each', statements })),
    },
    {
      weight: 2,
      arbitrary: list.map((statements): Request => ({ mode: 'transaction', statements })),
    },
    {
      weight: 1,
      arbitrary: cursor.map((statements): Request => ({ mode: 'transaction', statements })),
    },
    {
      weight: 2,
      arbitrary: fc
        .tuple(list, one('COMMIT', 'COMMIT', 'ROLLBACK'))
        .map(([inner, end]): Request => {
          const deferred = { text: 'SET CONSTRAINTS ALL DEFERRED' }
          const opened = [begin, deferred, { text: 'SAVEPOINT a' }]
          return { mode: 'text', statements: [...opened, ...inner, { text: end }] }
        }),
    },
  )
}

/** What runs on one set of fresh rows. */
export function requests(options: StatementOptions): Arbitrary<readonly Request[]> {
  return fc.array(request(options), { minLength: 1, maxLength: 24, size: 'max' })
}
