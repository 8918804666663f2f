/** The work itself, the same for every system: tables, statements, and what a right answer holds. */

export const workloadNames = ['point read', 'insert', 'update', '1,000-row read'] as const
export type WorkloadName = (typeof workloadNames)[number]

export interface Workload {
  readonly sql: string
  /** Ids run from 1 to this. */
  readonly idMax: number
  parameters(id: number): readonly (number | string)[]
  /** Checks a JSON answer in the shape of POST /v1/api/sql. */
  isRight(answer: string, id: number): boolean
  /** Checks a reply in the PostgreSQL protocol, decoded as latin1. */
  isRightReply(reply: string, id: number): boolean
}

const rowsInTable = 100_000
const columns = 'id, owner, title, done, amount, created_at'

/** Run once, as the owner of everything. */
export const setupStatements: readonly string[] = [
  `CREATE TABLE public.todo (id int PRIMARY KEY, owner text NOT NULL, title text NOT NULL,
     done boolean NOT NULL, amount numeric(10,2) NOT NULL, created_at timestamptz NOT NULL)`,
  `INSERT INTO public.todo SELECT n, 'user ' || n % 1000, 'todo ' || n, n % 3 = 0, n / 100.0,
     timestamptz '2026-01-01 00:00:00Z' + n * interval '1 second'
   FROM generate_series(1, ${rowsInTable}) AS n`,
  `CREATE TABLE public.entry (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title text NOT NULL,
     amount numeric(10,2) NOT NULL, created_at timestamptz NOT NULL DEFAULT now())`,
  'ANALYZE public.todo',
]

export const workloads: Readonly<Record<WorkloadName, Workload>> = {
  'point read': {
    sql: `SELECT ${columns} FROM todo WHERE id = $1`,
    idMax: rowsInTable,
    parameters: (id) => [id],
    isRight: (answer, id) =>
      answer.includes(`"rows":[{"id":${id},`) && answer.includes(`"title":"todo ${id}",`),
    isRightReply: (reply, id) => reply.includes(`todo ${id}\0`) && reply.includes('SELECT 1\0'),
  },
  insert: {
    sql: 'INSERT INTO entry (title, amount) VALUES ($1, $2)',
    idMax: rowsInTable,
    parameters: (id) => [`entry ${id}`, `${id}.25`],
    isRight: (answer) => answer.includes('"command":"INSERT"') && answer.includes('"row_count":1'),
    isRightReply: (reply) => reply.includes('INSERT 0 1\0'),
  },
  update: {
    sql: 'UPDATE todo SET done = NOT done, amount = amount + 0.01 WHERE id = $1',
    idMax: rowsInTable,
    parameters: (id) => [id],
    isRight: (answer) => answer.includes('"command":"UPDATE"') && answer.includes('"row_count":1'),
    isRightReply: (reply) => reply.includes('UPDATE 1\0'),
  },
  '1,000-row read': {
    sql: `SELECT ${columns} FROM todo WHERE id BETWEEN $1::int AND $1::int + 999 ORDER BY id`,
    idMax: rowsInTable - 999,
    parameters: (id) => [id],
    isRight: (answer, id) =>
      answer.startsWith(`"rows":[{"id":${id},`, answer.indexOf('"rows"')) &&
      answer.includes(`"title":"todo ${id + 999}",`, answer.length - 400) &&
      answer.includes('"row_count":1000', answer.length - 100),
    isRightReply: (reply, id) =>
      reply.includes(`todo ${id + 999}\0`, reply.length - 300) && reply.includes('SELECT 1000\0'),
  },
}
