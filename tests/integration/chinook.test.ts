import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { chinookQuestions } from '../data/chinook-questions.js'
import {
  nativePostgresMissing,
  openNativePostgres,
  type NativePostgres,
} from '../support/native-postgres.js'
import { referenceValue } from '../support/reference-values.js'
import { openTestServer, type TestServer } from '../support/server.js'

const chinookFile = fileURLToPath(new URL('../data/chinook.sql', import.meta.url))
const kalam = fileURLToPath(new URL('../../cli/bin/kalam.js', import.meta.url))

const missing = nativePostgresMissing()
if (missing !== undefined) console.log(`skipped, Chinook against native PostgreSQL: ${missing}`)

/** A result as callers see it: type names and JSON values. */
interface Answer {
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  readonly rows: readonly (readonly unknown[])[]
}

test('every question combines three features or more', () => {
  expect(chinookQuestions).toHaveLength(20)
  for (const { uses } of chinookQuestions) expect(new Set(uses).size).toBeGreaterThanOrEqual(3)
})

describe.skipIf(missing !== undefined)('Chinook, row for row like native PostgreSQL', () => {
  let server: TestServer
  let native: NativePostgres
  let client: Client
  let typeNames: ReadonlyMap<number, string>

  beforeAll(async () => {
    native = await openNativePostgres()
    client = new Client({ host: native.host, user: native.user, types: { getTypeParser: asText } })
    await client.connect()
    await client.query(await readFile(chinookFile, 'utf8'))
    typeNames = await readTypeNames(client)
    server = await openTestServer()
    await loadWithCommandLine(server)
  })
  afterAll(async () => {
    await client.end()
    await Promise.all([native.close(), server.close()])
  })

  test('kalam -f loads every row of every table', async () => {
    const counts = `
      SELECT 'album' AS name, count(*) FROM album UNION ALL SELECT 'artist', count(*) FROM artist
      UNION ALL SELECT 'customer', count(*) FROM customer
      UNION ALL SELECT 'employee', count(*) FROM employee
      UNION ALL SELECT 'genre', count(*) FROM genre
      UNION ALL SELECT 'invoice', count(*) FROM invoice
      UNION ALL SELECT 'invoice_line', count(*) FROM invoice_line
      UNION ALL SELECT 'media_type', count(*) FROM media_type
      UNION ALL SELECT 'playlist', count(*) FROM playlist
      UNION ALL SELECT 'playlist_track', count(*) FROM playlist_track
      UNION ALL SELECT 'track', count(*) FROM track ORDER BY name`
    expect(await ask(server, counts)).toEqual(await askNative(counts))
  })

  test.each(chinookQuestions)('$title', async ({ sql }) => {
    const expected = await askNative(sql)
    expect(expected.rows.length).toBeGreaterThan(0)
    expect(await ask(server, sql)).toEqual(expected)
  })

  async function askNative(sql: string): Promise<Answer> {
    const { fields, rows } = await client.query<(string | null)[]>({ text: sql, rowMode: 'array' })
    const columns = fields.map((field) => ({
      name: field.name,
      type: typeNames.get(field.dataTypeID) ?? `oid ${field.dataTypeID}`,
    }))
    const values = rows.map((row) =>
      row.map((text, index) => referenceValue(columns[index]?.type ?? '', text)),
    )
    return { columns, rows: values }
  }
})

/** Keeps `pg` from parsing: the reference encoder reads PostgreSQL's own text. */
function asText(): (value: string) => string {
  return (value) => value
}

/** OID → `int4`, `text[]`. */
async function readTypeNames(client: Client): Promise<ReadonlyMap<number, string>> {
  const { rows } = await client.query<{ oid: string; name: string }>(`
    SELECT t.oid, coalesce(e.typname || '[]', t.typname) AS name
    FROM pg_type t LEFT JOIN pg_type e ON e.typarray = t.oid`)
  return new Map(rows.map(({ oid, name }) => [Number(oid), name]))
}

async function ask(server: TestServer, sql: string): Promise<Answer> {
  const response = await fetch(`${server.url}/v1/api/sql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': server.adminKey },
    body: JSON.stringify({ sql, rows: 'array' }),
  })
  const body = (await response.json()) as { results?: readonly Answer[] }
  const result = body.results?.[0]
  if (result === undefined) throw new Error(`HTTP ${response.status}: ${JSON.stringify(body)}`)
  return { columns: result.columns, rows: result.rows }
}

async function loadWithCommandLine(server: TestServer): Promise<void> {
  const started = performance.now()
  const command = [kalam, '--url', server.url, '--api-key', server.adminKey, '-f', chinookFile]
  await promisify(execFile)(process.execPath, command, { maxBuffer: 64 * 1024 * 1024 })
  const seconds = (performance.now() - started) / 1000
  console.log(`kalam -f chinook.sql into a fresh server: ${seconds.toFixed(2)} s`)
}
