/** README.md as a newcomer follows it: its commands are run. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTestServer, type TestServer } from '../support/server.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
// Those of Docker are followed by tests/docker.
const [start = '', firstSteps = '', watch = '', example = '', users = '', check = ''] = Array.from(
  readme.replace(/^## Docker\n[^]*?^## /mu, '## ').matchAll(/^```sh\n([^]*?)^```$/gmu),
  ([, commands = '']) => commands,
)

let server: TestServer
beforeAll(async () => {
  server = await openTestServer()
})
afterAll(() => server.close())

describe('README.md', () => {
  test('starts and checks with scripts that are there', () => {
    const { scripts } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as {
      scripts: Record<string, string>
    }
    expect([start, check]).toEqual(['npm ci && npm start\n', 'npm ci && npm test\n'])
    expect(Object.keys(scripts)).toEqual(expect.arrayContaining(['start', 'test']))
    const folder = /^cd (\S+) && npm start\n$/u.exec(example)?.[1] ?? 'none'
    expect(readFileSync(`${root}/${folder}/package.json`, 'utf8')).toContain('"start": ')
  })

  test('takes the first steps: each user’s own rows, a delete and its undoing, root’s view', async () => {
    const heard = await runShell(firstSteps)
    const rows = heard.filter((line) => /call Ada|buy milk/u.test(line)).map((line) => line.trim())
    expect(rows).toEqual([
      expect.stringContaining('"rows":[{"id":2,"body":"buy milk"}]'),
      '2 | buy milk',
      '1 | call Ada',
      'buy milk | true',
      '2 | buy milk',
      '1 | call Ada',
      '2 | buy milk',
    ])
  })

  test('keeps a query open: rows, then what changes them', async () => {
    const key = await server.createUser('carol')
    await server.sql("INSERT INTO app.notes (body) VALUES ('feed the cat')", { key })
    const watching = spawn('bash', ['-euo', 'pipefail', '-c', watch], {
      ...{ cwd: root, detached: true, stdio: ['ignore', 'pipe', 'inherit'] },
      env: { ...environment(), ALICE: key },
    })
    const ended = once(watching, 'exit')
    const lines = createInterface({ input: watching.stdout })[Symbol.asyncIterator]()
    const lineWith = async (text: string): Promise<string> => {
      for (;;) {
        const next = await lines.next()
        if (next.done === true) throw new Error(`it ended before "${text}"`)
        if (next.value.includes(text)) return next.value
      }
    }
    expect(await lineWith('feed the cat')).not.toMatch(/^[+~-]/u)
    // The rows end with their number; what comes then is a change.
    await lineWith('(1 row)')
    await server.sql("INSERT INTO app.notes (body) VALUES ('water the plants')", { key })
    expect(await lineWith('water the plants')).toMatch(/^\+/u)
    process.kill(-(watching.pid ?? 0), 'SIGINT')
    await ended
  })

  test('makes, lists and drops users and keys', async () => {
    const heard = await runShell(users)
    expect(heard.join('\n')).toMatch(/kal_[\w-]{43}[^]+kal_[\w-]{43}/u)
    const { rows } = await server.sql('SHOW USERS')
    expect(rows.map(({ name }) => name)).not.toContain('reports')
  })
})

/** Runs commands of the page against the test's server; answers the lines they print. */
async function runShell(commands: string): Promise<string[]> {
  const script = commands.replaceAll('http://127.0.0.1:2900', server.url)
  const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: root,
    env: environment(),
  })
  return stdout.split('\n')
}

function environment() {
  return { PATH: process.env['PATH'], HOME: server.home, KALAM_URL: server.url }
}
