/** README.md as a newcomer follows it: its commands are run. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTestServer, type TestServer } from '../support/server.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
const [start = '', firstSteps = '', users = '', check = ''] = Array.from(
  readme.matchAll(/^```sh\n([^]*?)^```$/gmu),
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
    env: { ...process.env, HOME: server.home, KALAM_URL: server.url },
  })
  return stdout.split('\n')
}
