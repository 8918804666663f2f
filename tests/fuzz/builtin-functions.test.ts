/**
 * Calls every built-in function that a caller may call, with ordinary and with odd values. PGlite
 * is PostgreSQL compiled for another machine; what it lacks there must be an error, not its end.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DbError } from '#src/errors.js'
import type { Identity } from '#src/engine/engine.js'
import { openTestCatalog, type TestCatalog } from '../support/catalog.js'

let catalog: TestCatalog
beforeAll(async () => {
  catalog = await openTestCatalog()
  await catalog.queries.query('create table public.t (id integer primary key, x text)')
  await catalog.queries.query('create sequence public.s')
  await catalog.queries.query('grant all on public.t to kalam_user, kalam_admin')
  await catalog.queries.query('grant all on sequence public.s to kalam_user, kalam_admin')
})
afterAll(() => catalog.close())

describe.each(['kalam_user', 'kalam_admin'])('K4: no function ends the engine for %s', (role) => {
  test('called with values of each type', async () => {
    const identity = await identityOf(role)
    const calls = (await callableFunctions(role)).flatMap(callsOf)
    expect(calls.length).toBeGreaterThan(6_500)
    await runAll(identity, calls)
  })

  test('of full-text search in every language', async () => {
    const { rows } = await catalog.queries.query('select oid::regconfig::text from pg_ts_config')
    const languages = rows.map(([name]) => name ?? '')
    const calls = languages.map(
      (name) => `select to_tsvector('${name}', 'Häuser running 1.5 a@b.c')`,
    )
    await runAll(await identityOf(role), calls)
  })

  test('of conversion between any two encodings', async () => {
    const { rows } = await catalog.queries.query(
      'select distinct pg_encoding_to_char(conforencoding) from pg_conversion',
    )
    const calls = rows.flatMap(([name]) => [
      `select convert_to('é', '${name ?? ''}')`,
      `select convert_from('\\xc3a9', '${name ?? ''}')`,
      `select convert('\\xc3a9', '${name ?? ''}', 'UTF8')`,
    ])
    await runAll(await identityOf(role), calls)
  })
})

/** Every call is answered, if only by an error, and the engine is the one it was. */
async function runAll(identity: Identity, calls: readonly string[]): Promise<void> {
  const { generation } = catalog.engine
  for (const call of calls) {
    await catalog.as(identity, call).catch((error: unknown) => {
      expect(error, call).toBeInstanceOf(DbError)
    })
    expect(catalog.engine.generation, call).toBe(generation)
  }
}

async function identityOf(role: string): Promise<Identity> {
  const { rows } = await catalog.queries.query('select oid from pg_roles where rolname = $1', [
    role,
  ])
  return { roleOid: Number(rows[0]?.[0]), userId: 'someone', readOnly: false }
}

interface BuiltinFunction {
  readonly name: string
  readonly isWindow: boolean
  readonly types: readonly string[]
}

async function callableFunctions(role: string): Promise<readonly BuiltinFunction[]> {
  const { rows } = await catalog.queries.query(
    `select p.proname, p.prokind = 'w',
            (select coalesce(json_agg(format_type(t, null) order by o), '[]')
               from unnest(p.proargtypes) with ordinality u(t, o))
       from pg_proc p
      where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind in ('f', 'a', 'w')
        and has_function_privilege($1::name, p.oid, 'execute')
        and not exists (select from unnest(p.proargtypes) a join pg_type t on t.oid = a
                         where t.typtype = 'p' and t.typname !~ '^any|^record$')
      order by p.oid`,
    [role],
  )
  return rows.map(([name, isWindow, types]) => ({
    name: name ?? '',
    isWindow: isWindow === 't',
    types: JSON.parse(types ?? '[]') as string[],
  }))
}

/** One call for each sample of the richest argument, and one with nulls. */
function callsOf({ name, isWindow, types }: BuiltinFunction): readonly string[] {
  const columns = types.map((type) => [...(samples[type] ?? []), 'null'])
  const count = Math.max(1, ...columns.map(({ length }) => length))
  return Array.from({ length: count }, (_, call) => {
    const values = columns.map((column, index) => argument(column, types[index] ?? '', call))
    return `select pg_catalog."${name}"(${values.join(', ')})${isWindow ? ' over ()' : ''}`
  })
}

function argument(column: readonly string[], type: string, call: number): string {
  const value = column[call % column.length] ?? 'null'
  const isPolymorphic = /^"?any|^record$/.test(type)
  if (isPolymorphic) return value === 'null' ? 'null::integer' : value
  return `${value}::${type}`
}

const samples: Readonly<Record<string, readonly string[]>> = {
  integer: ['1', '-2147483648'],
  bigint: ['1', '-9223372036854775808'],
  smallint: ['1', '-32768'],
  oid: [`'t'::regclass::oid`, '0', '1'],
  regclass: [`'t'`, `'s'`, '0'],
  text: [`'é'`, `'t'`, `'LATIN1'`],
  name: [`'t'`, `'LATIN1'`],
  boolean: ['true'],
  'double precision': [`'NaN'`, '1'],
  real: [`'Infinity'`],
  numeric: ['1', `'NaN'`, '1e200'],
  bytea: [`'\\xff00'`, `''`],
  json: [`'{"a": [1]}'`],
  jsonb: [`'{"a": [1]}'`],
  jsonpath: [`'$.a'`],
  xml: [`'<a/>'`],
  anyelement: ['1'],
  anynonarray: ['1'],
  anycompatible: ['1'],
  anycompatiblenonarray: ['1'],
  '"any"': ['1'],
  anyarray: ['array[1, 2]'],
  anycompatiblearray: ['array[1]'],
  anyrange: ['int4range(1, 2)'],
  anymultirange: [`'{[1,2)}'::int4multirange`],
  record: ['row(1, 2)'],
  interval: [`'1 day'`],
  'timestamp with time zone': [`'2026-11-23'`, `'infinity'`],
  'timestamp without time zone': [`'2026-11-23'`, `'infinity'`],
  date: [`'2026-11-23'`, `'infinity'`],
  'time without time zone': [`'10:00'`],
  'time with time zone': [`'10:00+00'`],
  tsvector: [`'a b'`],
  tsquery: [`'a & b'`],
  point: [`'(1,2)'`],
  box: [`'(1,2),(3,4)'`],
  circle: [`'<(1,2),3>'`],
  path: [`'[(1,2),(3,4)]'`],
  polygon: [`'((1,2),(3,4))'`],
  line: [`'{1,2,3}'`],
  lseg: [`'[(1,2),(3,4)]'`],
  inet: [`'1.2.3.4'`],
  cidr: [`'1.2.3.0/24'`],
  macaddr: [`'08:00:2b:01:02:03'`],
  macaddr8: [`'08:00:2b:01:02:03:04:05'`],
  uuid: [`'00000000-0000-0000-0000-000000000000'`],
  bit: [`b'101'`],
  'bit varying': [`b'101'`],
  character: [`'a'`],
  'character varying': [`'a'`],
  '"char"': [`'a'`],
  money: [`'1'`],
  pg_lsn: [`'0/1'`],
  xid: [`'1'`],
  xid8: [`'1'`],
  cid: [`'1'`],
  tid: [`'(0,1)'`],
  pg_snapshot: [`'1:2:'`],
  txid_snapshot: [`'1:2:'`],
  regtype: [`'int'`],
  regproc: [`'now'`],
  regprocedure: [`'now()'`],
  regnamespace: [`'public'`],
  regrole: [`'kalam_user'`],
  regconfig: [`'english'`],
  regdictionary: [`'simple'`],
  refcursor: [`'c'`],
  'text[]': [`array['a', 'b']`],
  'name[]': [`array['a']`],
  'oid[]': ['array[1]'],
  'integer[]': ['array[1]'],
  oidvector: [`'1 2'`],
  int2vector: [`'1 2'`],
  aclitem: [`'postgres=r/postgres'`],
  'aclitem[]': [`array['postgres=r/postgres']`],
}
