/** C10: the recipe of docs/http.md, as it stands there, with a real nginx in front. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../support/free-port.js'
import { linesOf, postSql } from '../support/http-client.js'
import { openTestServer, type TestServer } from '../support/server.js'
import { enterSocket } from '../support/socket-client.js'

const nginx = findNginx()
// Debian's package is `nginx-light`; CI installs it.
const describeProxy = nginx === undefined ? describe.skip : describe

describeProxy('C10: behind nginx', () => {
  let server: TestServer
  let folder: string
  let proxy: ChildProcess
  let proxied: TestServer

  beforeAll(async () => {
    server = await openTestServer()
    folder = mkdtempSync(join(tmpdir(), 'kalam-nginx-'))
    const port = await freePort()
    const file = join(folder, 'nginx.conf')
    writeFileSync(file, configuration({ folder, port, serverPort: server.port }))
    proxy = spawn(nginx ?? '', ['-p', folder, '-e', 'stderr', '-c', file], { stdio: 'ignore' })
    proxied = { ...server, url: `http://127.0.0.1:${port}`, port }
    await answering(`${proxied.url}/health`)
  })

  afterAll(async () => {
    const ended = new Promise((resolve) => proxy.once('exit', resolve))
    proxy.kill('SIGTERM')
    await ended
    await server.close()
    rmSync(folder, { recursive: true })
  })

  test('SQL, errors and the key pass', async () => {
    const answer = await postSql(proxied, { body: { sql: 'select $1::int as a', params: [1] } })
    expect(answer.text).toContain('"rows":[{"a":1}]')
    expect((await postSql(proxied, { body: { sql: 'selec' } })).status).toBe(400)
    expect((await postSql(proxied, { body: { sql: 'select 1' }, key: null })).status).toBe(401)
  })

  test('bodies up to the bound pass', async () => {
    const text = 'x'.repeat(10 * 1024 * 1024)
    const sql = 'select length($1::text) as n'
    const answer = await postSql(proxied, { body: { sql, params: [text] } })
    expect(answer.text).toContain(`"rows":[{"n":${text.length}}]`)
  })

  test('streams pass whole', async () => {
    const sql = "select n, repeat('x', 1000) as t from generate_series(1, 20000) n"
    const headers = { accept: 'application/x-ndjson' }
    const answer = await postSql(proxied, { body: { sql }, headers })
    expect(linesOf(answer)).toHaveLength(20_002)
    expect(linesOf(answer).at(-1)).toMatchObject({ status: 'success' })
  })

  test('WebSockets pass', async () => {
    await using socket = await enterSocket(proxied)
    socket.send({ type: 'query', id: 1, sql: 'select 1 as a' })
    expect(await socket.next()).toMatchObject({ results: [{ rows: [{ a: 1 }] }] })
  })

  test('a caller that goes away cancels the statement behind the proxy', async () => {
    const controller = new AbortController()
    const sql = 'select count(*) from generate_series(1, 1000000000)'
    const asked = fetch(`${proxied.url}/v1/api/sql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-api-key': server.adminKey },
      body: JSON.stringify({ sql }),
      signal: controller.signal,
    })
    await answeringMetric(server.url, /^kalamdb_engine_queue_units [1-9]/mu)
    controller.abort()
    await expect(asked).rejects.toThrow()
    await answeringMetric(server.url, /route="\/v1\/api\/sql",status="499"\} 1$/mu)
  })
})

function findNginx(): string | undefined {
  for (const candidate of [process.env['NGINX'] ?? 'nginx', '/usr/sbin/nginx']) {
    try {
      execFileSync(candidate, ['-v'], { stdio: 'ignore' })
      return candidate
    } catch {
      // Not this one.
    }
  }
  return undefined
}

interface Place {
  readonly folder: string
  readonly port: number
  readonly serverPort: number
}

/** The recipe on ports of our own, inside the least that nginx runs with. */
function configuration({ folder, port, serverPort }: Place): string {
  const page = readFileSync(new URL('../../docs/http.md', import.meta.url), 'utf8')
  const recipe = /```nginx\n(.*?)```/su.exec(page)?.[1] ?? ''
  const here = recipe
    .replace('listen 8080', `listen 127.0.0.1:${port}`)
    .replace('127.0.0.1:2900', `127.0.0.1:${serverPort}`)
  const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  )
  return `daemon off; pid ${folder}/nginx.pid; events {}
    http { access_log off; ${folders.join(' ')} ${here} }`
}

async function answering(url: string): Promise<void> {
  await until(async () => (await fetch(url).catch(() => undefined))?.status === 200)
}

async function answeringMetric(url: string, line: RegExp): Promise<void> {
  await until(async () => line.test(await (await fetch(`${url}/metrics`)).text()))
}

async function until(check: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 20_000
  while (!(await check())) {
    if (performance.now() > deadlineMs) throw new Error('it did not happen within 20 s')
    await new Promise((resolve) => setImmediate(resolve))
  }
}
