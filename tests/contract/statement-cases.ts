/**
 * What every door promises of statements, as data: the same cases go over HTTP, the WebSocket, the
 * SDK in Node and the SDK in browsers, and must give the same.
 */
import { readFileSync } from 'node:fs'
import { repositoryRoot } from '../support/repository-root.js'

export interface StatementCase {
  readonly name: string
  readonly statements: readonly CaseStatement[]
  readonly options?: CaseOptions
  /** Equal to what comes, result by result; without it there is an error. */
  readonly results?: readonly CaseResult[]
  /** Fields that the error has. */
  readonly error?: Readonly<Record<string, unknown>>
}

export interface CaseStatement {
  readonly sql: string
  readonly params?: readonly unknown[]
}

export interface CaseOptions {
  readonly namespace?: string
  readonly transaction?: boolean
  readonly idempotencyKey?: string
}

export interface CaseResult {
  readonly command: string
  readonly rows: readonly unknown[]
  readonly rowCount: number
}

/** What a door gives. */
export type Outcome =
  | { readonly results: readonly CaseResult[] }
  | { readonly error: Readonly<Record<string, unknown>> }

/** Run before the cases, so that they find nothing of another door. */
export const caseTables = `
  CREATE NAMESPACE IF NOT EXISTS door;
  DROP TABLE IF EXISTS door.taken, door.steps, door.together, door.paid;
  CREATE TABLE door.taken (id int PRIMARY KEY);
  CREATE TABLE door.steps (n int CHECK (n < 3));
  CREATE TABLE door.together (n int CHECK (n < 3));
  CREATE TABLE door.paid (id int GENERATED ALWAYS AS IDENTITY, amount numeric);
  INSERT INTO door.taken VALUES (1)`

const selected = (...rows: readonly unknown[]): CaseResult => ({
  ...{ command: 'SELECT', rows, rowCount: rows.length },
})
const inserted = (rowCount: number): CaseResult => ({ command: 'INSERT', rows: [], rowCount })

/** `run` makes idempotency keys that no run before has used. */
export function statementCases(run: string): readonly StatementCase[] {
  const pay = [{ sql: 'INSERT INTO door.paid (amount) VALUES (1.10) RETURNING id, amount' }]
  const paid = [{ command: 'INSERT', rows: [{ id: 1, amount: '1.10' }], rowCount: 1 }]
  return [
    {
      name: 'C1: rows as objects, of columns with one name the last',
      statements: [{ sql: "SELECT 1 AS id, 'milk' AS title, null::bool AS done, 2 AS id" }],
      results: [selected({ title: 'milk', done: null, id: 2 })],
    },
    {
      name: 'C1: rows without columns, and no rows',
      statements: [{ sql: 'SELECT FROM generate_series(1, 2)' }, { sql: 'SELECT 1 LIMIT 0' }],
      results: [selected({}, {}), selected()],
    },
    {
      name: 'C1: counts of rows returned and affected',
      statements: [
        { sql: 'INSERT INTO door.steps SELECT 1 FROM generate_series(1, 3)' },
        { sql: 'UPDATE door.steps SET n = 2' },
        { sql: 'DELETE FROM door.steps RETURNING n' },
      ],
      results: [
        inserted(3),
        { command: 'UPDATE', rows: [], rowCount: 3 },
        { command: 'DELETE', rows: [{ n: 2 }, { n: 2 }, { n: 2 }], rowCount: 3 },
      ],
    },
    {
      name: 'C1: names are looked up in the given namespace',
      statements: [{ sql: 'SELECT id FROM taken' }],
      options: { namespace: 'door' },
      results: [selected({ id: 1 })],
    },
    {
      name: 'C2: the place in the text that was sent',
      statements: [{ sql: "SELECT 'ü😀',\n  nope\nFROM (SELECT 1) AS t" }],
      error: { code: 'QUERY_REJECTED', sqlstate: '42703', line: 2, column: 3 },
    },
    {
      name: 'C2: a constraint names its values',
      statements: [{ sql: 'INSERT INTO door.taken VALUES (1)' }],
      error: {
        ...{ code: 'CONSTRAINT_VIOLATION', sqlstate: '23505' },
        detail: 'Key (id)=(1) already exists.',
      },
    },
    {
      name: 'C3: parameters, lists and objects',
      statements: [
        {
          sql: 'SELECT $1::int + 1 AS a, $2 AS b, $3::int[] AS c, $4::jsonb AS d, $5::text AS e',
          params: [41, 'x', [1, 2], { list: [1, { deep: null }] }, null],
        },
      ],
      results: [selected({ a: 42, b: 'x', c: [1, 2], d: { list: [1, { deep: null }] }, e: null })],
    },
    {
      name: 'C3: several statements take one list each',
      statements: [
        { sql: 'SELECT $1::int AS a', params: [1] },
        { sql: 'SELECT 1 AS b' },
        { sql: 'SELECT $1::text AS c, $2::int AS d', params: ['x', 2] },
      ],
      results: [selected({ a: 1 }), selected({ b: 1 }), selected({ c: 'x', d: 2 })],
    },
    {
      name: 'C3: too few parameters are refused',
      statements: [{ sql: 'SELECT $1::int, $2::int', params: [1] }],
      error: { code: 'BAD_REQUEST' },
    },
    {
      name: 'C3: without a transaction the first error stops',
      statements: [1, 3, 2].map((n) => ({
        sql: 'INSERT INTO door.steps VALUES ($1)',
        params: [n],
      })),
      error: { code: 'CONSTRAINT_VIOLATION', statement: 1 },
    },
    {
      name: 'C3: … and what was before it is done',
      statements: [{ sql: 'SELECT n FROM door.steps' }],
      results: [selected({ n: 1 })],
    },
    {
      name: 'C3: as one transaction none is',
      statements: [1, 3].map((n) => ({
        sql: 'INSERT INTO door.together VALUES ($1)',
        params: [n],
      })),
      options: { transaction: true },
      error: { code: 'CONSTRAINT_VIOLATION' },
    },
    {
      name: 'C3: … or all are',
      statements: [
        { sql: 'INSERT INTO door.together VALUES (1)' },
        { sql: 'INSERT INTO door.together VALUES (2)' },
        { sql: 'SELECT n FROM door.together ORDER BY n' },
      ],
      options: { transaction: true },
      results: [inserted(1), inserted(1), selected({ n: 1 }, { n: 2 })],
    },
    {
      name: 'C4: every digit, both ways',
      statements: [
        {
          sql: 'SELECT $1::int8 AS big, $2::numeric AS exact, $3::bytea AS bytes, $4::timestamptz AS at',
          params: ['-9223372036854775808', '1.10', '\\x00ff', '2026-11-25T12:00:00.123456Z'],
        },
      ],
      results: [
        selected({
          ...{ big: '-9223372036854775808', exact: '1.10', bytes: '\\x00ff' },
          at: '2026-11-25T12:00:00.123456Z',
        }),
      ],
    },
    {
      name: 'C4: a text of a megabyte',
      statements: [{ sql: 'SELECT $1::text AS text', params: ['"ü\\\n'.repeat(200_000)] }],
      results: [selected({ text: '"ü\\\n'.repeat(200_000) })],
    },
    {
      name: 'C10: an idempotency key does it once',
      statements: pay,
      options: { idempotencyKey: `pay-${run}` },
      results: paid,
    },
    {
      name: 'C10: … and answers the same again',
      statements: pay,
      options: { idempotencyKey: `pay-${run}` },
      results: paid,
    },
    {
      name: 'C10: … which is no key for something else',
      statements: [{ sql: 'SELECT 2 AS other' }],
      options: { idempotencyKey: `pay-${run}` },
      error: { code: 'IDEMPOTENCY_KEY_REUSED' },
    },
  ]
}

/** C4, for each type of tests/golden/values.json: what comes is what went in. */
export function goldenCases(): readonly StatementCase[] {
  const path = new URL('tests/golden/values.json', repositoryRoot)
  const values = JSON.parse(readFileSync(path, 'utf8')) as readonly GoldenValue[]
  // The embedded engine has no xml; times of other zones come back in the session's.
  const isElsewhere = ({ type, text }: GoldenValue) =>
    type === 'timestamptz' && /[+-](?!00)[\d:]+( BC)?$/u.test(text)
  return values
    .filter((value) => value.type !== 'xml' && !isElsewhere(value))
    .map(({ type, text, json }) => ({
      name: `C4: ${type} ${text}`,
      statements: [{ sql: `SELECT $1::${type} AS value`, params: [text] }],
      results: [selected({ value: JSON.parse(json) as unknown })],
    }))
}

interface GoldenValue {
  readonly type: string
  readonly text: string
  readonly json: string
}
