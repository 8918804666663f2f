import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { builtinTypes } from '#src/protocol/builtin-types.js'
import { openTestServer, type TestServer } from '../support/server.js'

let server: TestServer
beforeAll(async () => {
  server = await openTestServer()
})
afterAll(() => server.close())

/** Base, range and multirange types of pg_catalog with their array types, and the pseudo-types that results have. */
const catalogTypes = `
  select t.oid::int as oid, t.typname as name, t.typarray::int as array_oid, t.typdelim as delimiter
    from pg_type t
   where t.typnamespace = 'pg_catalog'::regnamespace
     and (t.typtype in ('b', 'r', 'm') or t.typname in ('record', 'cstring', 'anyarray', 'void', 'unknown'))
     and not exists (select from pg_type e where e.typarray = t.oid)
   order by t.oid`

describe('C4: the table of builtin types', () => {
  test("is that of the engine's pg_type", async () => {
    const { rows } = await server.sql(catalogTypes)
    const arrays = rows.filter((row) => row['array_oid'] !== 0)
    expect([...builtinTypes.keys()].sort((a, b) => a - b)).toEqual(
      [...rows.map((row) => row['oid']), ...arrays.map((row) => row['array_oid'])].sort(
        (a, b) => Number(a) - Number(b),
      ),
    )
    for (const row of rows) {
      const name = row['name'] === 'char' ? '"char"' : row['name']
      const type = builtinTypes.get(Number(row['oid']))
      expect(type?.name).toBe(name)
      if (row['array_oid'] === 0) continue
      expect(builtinTypes.get(Number(row['array_oid']))).toEqual({
        name: `${String(name)}[]`,
        encoding: 'array',
        element: type,
        delimiter: row['delimiter'],
      })
    }
  })
})
