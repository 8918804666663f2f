/**
 * What a team would write without KalamDB: node:http in front of a `pg` pool, with the same
 * request, the same answer and a key check. Run as a process: `node peer-server.js <options as JSON>`.
 */
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo } from 'node:net'
import pg from 'pg'

export interface PeerOptions {
  readonly host: string
  readonly user: string
  readonly database: string
  readonly apiKey: string
  readonly poolSize: number
  /** Named prepared statements; pglite-socket cannot hold them for more than one connection. */
  readonly prepared: boolean
}

interface PeerRequest {
  readonly sql: string
  readonly params: readonly unknown[]
}

const options = JSON.parse(process.argv[2] ?? '{}') as PeerOptions
const pool = new pg.Pool({
  host: options.host,
  user: options.user,
  database: options.database,
  max: options.poolSize,
})
const typeNames = new Map<number, string>(
  Object.entries(pg.types.builtins).map(([name, oid]) => [oid, name.toLowerCase()]),
)
const statementNames = new Map<string, string>()

const server = createServer((request, response) => {
  answer(request).then(
    (body) => send(200, body),
    (error: unknown) => send(400, JSON.stringify({ status: 'error', message: String(error) })),
  )
  function send(status: number, body: string): void {
    const length = Buffer.byteLength(body)
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': length })
    response.end(body)
  }
})
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
process.once('disconnect', () => process.exit())

async function answer(request: IncomingMessage): Promise<string> {
  const started = performance.now()
  const body = await readBody(request)
  if (request.headers['x-api-key'] !== options.apiKey) throw new Error('unknown key')
  const { sql, params } = JSON.parse(body) as PeerRequest
  const { command, fields, rows, rowCount } = await pool.query<Record<string, unknown>>({
    text: sql,
    values: [...params],
    ...(options.prepared ? { name: statementName(sql) } : {}),
  })
  const columns = fields.map((field) => ({
    name: field.name,
    type: typeNames.get(field.dataTypeID),
  }))
  const result = { command, columns, rows, row_count: rowCount }
  const tookMs = Number((performance.now() - started).toFixed(3))
  return JSON.stringify({ status: 'success', results: [result], took_ms: tookMs })
}

function readBody(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    let body = ''
    request.setEncoding('utf8')
    request.on('data', (piece: string) => (body += piece))
    request.on('end', () => resolve(body))
    request.on('error', reject)
  })
}

function statementName(sql: string): string {
  const known = statementNames.get(sql)
  if (known !== undefined) return known
  const name = `s${statementNames.size}`
  statementNames.set(sql, name)
  return name
}
