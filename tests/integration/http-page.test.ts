/** docs/http.md: its curl commands run as they stand there, and answer what the page says. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTestServer, type TestServer } from '../support/server.js'

const page = readFileSync(new URL('../../docs/http.md', import.meta.url), 'utf8')
const commands = [...page.matchAll(/```sh\n(curl .*?)```/gsu)].map(([, command = '']) => command)
const run = promisify(execFile)

let server: TestServer
beforeAll(async () => {
  server = await openTestServer()
  await server.sql('CREATE USER TABLE cities (name text PRIMARY KEY, people integer)')
})
afterAll(() => server.close())

async function output(command: string): Promise<string> {
  const env = { PATH: process.env['PATH'], KALAM_URL: server.url, KALAM_API_KEY: server.adminKey }
  const { stdout } = await run('bash', ['-ec', command.replace('curl ', 'curl -sS ')], { env })
  return stdout
}

/** All but the time it took, which is never the same. */
function timeless(text: string): string {
  return text.replaceAll(/"took_ms": ?[\d.]+/gu, '"took_ms":0').replaceAll(/\s+/gu, '')
}

describe('the examples of docs/http.md', () => {
  test.each(commands)('%s', async (command) => {
    const answer = await output(command)
    if (command.includes('TO STDOUT')) {
      expect(answer).toBe('name,people\nOslo,717710\nBergen,291940\n')
      return
    }
    expect(answer).not.toContain('"status":"error"')
    expect(answer).toMatch(/"status":"(success|healthy)"/u)
  })

  test('answer what the page shows', async () => {
    const shown = page
      .split('```')
      .filter((block) => block.startsWith('json\n') || block.startsWith('\n{'))
      .map((block) => timeless(block.replace(/^json/u, '')))
      .filter((block) => block.includes('"success"'))
    await server.sql('DELETE FROM cities')
    const answers = await Promise.all(commands.map(output))
    expect(shown).toHaveLength(3)
    for (const example of shown) expect(answers.map(timeless)).toContain(example)
  })
})
