/** The Chinook music shop twice: in KalamDB, loaded by the command line, and in native PostgreSQL. */
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { openNativeClient, readTypeNames } from './differential/sides.js'
import { kalamBin } from './kalam.js'
import { openNativePostgres } from './native-postgres.js'
import { referenceValue } from './reference-values.js'
import { openTestServer, type TestServer } from './server.js'

/** A result as callers see it: type names and JSON values. */
export interface ChinookAnswer {
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  readonly rows: readonly (readonly unknown[])[]
  /** Rows returned or affected. */
  readonly count: number
}

export interface Chinook {
  readonly server: TestServer
  ask(sql: string): Promise<ChinookAnswer>
  askNative(sql: string): Promise<ChinookAnswer>
  close(): Promise<void>
}

export async function openChinook(kind: 'TABLE' | 'SHARED TABLE'): Promise<Chinook> {
  const native = await openNativePostgres()
  const client = await openNativeClient(native)
  const script = await readFile(new URL('../data/chinook.sql', import.meta.url), 'utf8')
  await client.query(script)
  const typeNames = await readTypeNames(client)
  const server = await openTestServer()
  await loadWithCommandLine(server, script.replaceAll(/^CREATE TABLE /gmu, `CREATE ${kind} `))
  return {
    server,
    ask: (sql) => askServer(server, sql),
    askNative: async (sql) => {
      const { fields, rows, rowCount } = await client.query<(string | null)[]>({
        ...{ text: sql, rowMode: 'array' },
      })
      const columns = fields.map((field) => ({
        name: field.name,
        type: typeNames.get(field.dataTypeID) ?? `oid ${field.dataTypeID}`,
      }))
      const values = rows.map((row) =>
        row.map((text, index) => referenceValue(columns[index]?.type ?? '', text)),
      )
      return { columns, rows: values, count: rowCount ?? 0 }
    },
    close: async () => {
      await client.end()
      await Promise.all([native.close(), server.close()])
    },
  }
}

async function askServer(server: TestServer, sql: string): Promise<ChinookAnswer> {
  const response = await fetch(`${server.url}/v1/api/sql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': server.adminKey },
    body: JSON.stringify({ sql, rows: 'array' }),
  })
  const body = (await response.json()) as {
    results?: readonly (Omit<ChinookAnswer, 'count'> & { readonly row_count: number })[]
  }
  const result = body.results?.[0]
  if (result === undefined) throw new Error(`HTTP ${response.status}: ${JSON.stringify(body)}`)
  return { columns: result.columns, rows: result.rows, count: result.row_count }
}

async function loadWithCommandLine(server: TestServer, script: string): Promise<void> {
  const file = join(server.home, 'chinook.sql')
  await writeFile(file, script)
  const started = performance.now()
  const command = [kalamBin, '--url', server.url, '--api-key', server.adminKey, '-f', file]
  await promisify(execFile)(process.execPath, command, { maxBuffer: 64 * 1024 * 1024 })
  const seconds = (performance.now() - started) / 1000
  console.log(`kalam -f chinook.sql into a fresh server: ${seconds.toFixed(2)} s`)
}
