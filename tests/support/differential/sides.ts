/** The two sides of a differential test: KalamDB over HTTP, and native PostgreSQL. */
import { Client, DatabaseError } from 'pg'
import type { NativePostgres } from '../native-postgres.js'
import { referenceValue } from '../reference-values.js'
import type { TestServer } from '../server.js'
import { inNewWay, resultOf, type Failure, type Outcome, type Result } from './outcome.js'
import { separator, type Request, type Statement } from './request.js'

export interface Side {
  run(request: Request): Promise<Outcome>
}

interface KalamBody {
  readonly error?: {
    readonly code: string
    readonly message: string
    readonly sqlstate?: string
    readonly position?: number
    readonly statement?: number
  }
  readonly results?: readonly {
    readonly command: string
    readonly row_count: number
    readonly columns: readonly { readonly name: string; readonly type: string }[]
    readonly rows: readonly (readonly unknown[])[]
  }[]
}

export interface KalamSideOptions {
  readonly server: TestServer
  readonly key: string
  readonly namespace: string
}

export function kalamSide({ server, key, namespace }: KalamSideOptions): Side {
  return {
    run: async ({ mode, statements }) => {
      const lists = statements.map(({ params }) => params ?? [])
      const hasParams = lists.some((list) => list.length > 0)
      const response = await fetch(`${server.url}/v1/api/sql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-api-key': key },
        body: JSON.stringify({
          ...{ sql: statements.map(({ text }) => text).join(separator), namespace, rows: 'array' },
          ...(hasParams ? { params: lists.length === 1 ? lists[0] : lists } : {}),
          ...(mode === 'transaction' ? { transaction: true } : {}),
        }),
      })
      return kalamOutcome((await response.json()) as KalamBody)
    },
  }
}

function kalamOutcome({ error, results = [] }: KalamBody): Outcome {
  if (error === undefined) {
    return { results: results.map(toResult) }
  }
  const { code, message, sqlstate = code, position, statement } = error
  return { results: [], error: { statement, sqlstate, message, position } }
}

/** With the first word of the command, which is what `pg` keeps of it. */
function toResult(result: NonNullable<KalamBody['results']>[number]): Result {
  const [command = ''] = result.command.split(' ')
  return resultOf({ ...result, command, count: result.row_count })
}

/** `pg` with values as PostgreSQL's own text. */
export async function openNativeClient(native: NativePostgres): Promise<Client> {
  const getTypeParser = () => (text: string) => text
  const client = new Client({ host: native.host, user: native.user, types: { getTypeParser } })
  await client.connect()
  return client
}

/** OID → `int4`, `text[]`. */
export async function readTypeNames(client: Client): Promise<ReadonlyMap<number, string>> {
  const { rows } = await client.query<{ oid: string; name: string }>(`
    SELECT t.oid, coalesce(e.typname || '[]', t.typname) AS name
    FROM pg_type t LEFT JOIN pg_type e ON e.typarray = t.oid`)
  return new Map(rows.map(({ oid, name }) => [Number(oid), name]))
}

/** The caller ends the client. */
export async function nativeSide(client: Client, version: string): Promise<Side> {
  const typeNames = await readTypeNames(client)
  const runOne = async (statement: Statement): Promise<Result> => {
    const text = statement.native ?? statement.text
    const { command, rowCount, fields, rows } = await client.query<(string | null)[]>({
      ...{ text, rowMode: 'array' },
      ...(statement.params === undefined ? {} : { values: [...statement.params] }),
    })
    const columns = fields.map(({ name, dataTypeID }) => ({
      name,
      type: typeNames.get(dataTypeID) ?? `oid ${dataTypeID}`,
    }))
    return resultOf({
      command: statement.command ?? command,
      count: rowCount ?? 0,
      columns,
      rows: rows.map((row) =>
        row.map((value, index) => referenceValue(columns[index]?.type ?? '', value)),
      ),
    })
  }
  return {
    run: async ({ mode, statements }) => {
      const results: Result[] = []
      let at: number | undefined
      try {
        if (mode === 'transaction') await client.query('BEGIN')
        for (const [index, statement] of statements.entries()) {
          at = index
          results.push(await runOne(statement))
        }
        at = undefined
        if (mode === 'transaction') await client.query('COMMIT')
        return { results }
      } catch (error) {
        if (!(error instanceof DatabaseError)) throw error
        return { results: [], error: inNewWay(failureOf(error, statements, at), version) }
      } finally {
        // After an error, or a BEGIN that nothing ended. A warning where there is none.
        await client.query('ROLLBACK')
      }
    },
  }
}

function failureOf(
  error: DatabaseError,
  statements: readonly Statement[],
  statement: number | undefined,
): Failure {
  const before = statements.slice(0, statement ?? 0).map(({ text }) => text + separator)
  const offset = Array.from(before.join('')).length
  return {
    statement,
    sqlstate: error.code ?? '',
    message: error.message,
    position: error.position === undefined ? undefined : offset + Number(error.position),
  }
}
