/**
 * The shipped files on newer versions of Node, where uWebSockets.js runs as JavaScript: what is asked
 * over HTTP and watched over WebSocket; and start, make a user, write durably, kill -9, start again, read.
 */
import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { kalam, kalamBin, kalamEnv } from '../support/kalam.js'
import { otherNodes } from '../support/other-node.js'

for (const { major, path } of otherNodes(process.env)) {
  if (path === undefined) console.log(`skipped: KALAM_TEST_NODE${major} names no Node ${major}`)
  describe.skipIf(path === undefined)(`on Node ${major}`, () => onNode(path ?? '', major))
}

/** Others of the contract say nothing of the Node: they run on the stand-in in Node 20. */
const contractFiles = ['tests/contract/sql-api.test.ts', 'tests/contract/socket-live.test.ts']
/** The contract's 200 tests with a test runner of their own, likewise. */
const contractMsMax = 400_000
/** Two starts, one of them with a new data folder, on a machine that runs other tests as well. */
const startsMsMax = 120_000

function onNode(node: string, major: number): void {
  let folder: string
  let serving: ChildProcess | undefined
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'kalam-node-'))
  })
  afterEach(async () => {
    if (serving !== undefined) await end(serving, 'SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })

  test(`the binary is Node ${major}`, () => {
    expect(String(execFileSync(node, ['--version']))).toMatch(new RegExp(`^v${major}\\.`))
  })

  test(
    'the contract of the SQL API holds',
    async () => {
      const { exit, output } = await runContract(node)
      expect(exit, output.slice(-4_000)).toBe(0)
      expect(output).toMatch(/Tests\s+\d{3,} passed/)
    },
    contractMsMax,
  )

  test(
    'an acknowledged write survives kill -9, and a user made before still gets in',
    async () => {
      const first = await serve()
      const key = (await run(first, ['-q', 'user', 'create', 'alice'])).trim()
      await run(first, ['-c', 'CREATE TABLE kept (id int PRIMARY KEY, title text)'])
      await run(first, [
        '-c',
        "INSERT INTO kept VALUES (1, 'milk'); GRANT SELECT ON kept TO 'alice'",
      ])
      await end(serving, 'SIGKILL')

      const second = await serve()
      const sql = ['-c', 'SELECT * FROM kept', '--format', 'csv', '--api-key', key]
      expect(await run(second, sql)).toBe('id,title\r\n1,milk\r\n')
      expect(await end(serving, 'SIGTERM')).toBe(0)
    },
    startsMsMax,
  )

  /** Starts the server on the folder; answers its URL. */
  async function serve(): Promise<string> {
    const args = ['serve', '--port', '0', '--data-dir', join(folder, 'data')]
    serving = spawn(node, [kalamBin, ...args], { env: kalamEnv({ home: folder }), cwd: folder })
    return urlSaidBy(serving)
  }

  async function run(url: string, args: readonly string[]): Promise<string> {
    const options = { home: folder, env: { KALAM_URL: url }, node }
    const { exit, stdout, stderr } = await kalam(args, options)
    if (exit !== 0) throw new Error(`kalam ${args.join(' ')}: exit ${exit}: ${stderr}`)
    return stdout
  }
}

/** The contract's tests, run by the same runner on that Node. */
function runContract(node: string): Promise<{ exit: number; output: string }> {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const args = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--project', 'fallback']
  const { PATH, HOME } = process.env
  const options = {
    ...{ cwd: root, env: { PATH, HOME, NO_COLOR: '1' } },
    ...{ maxBuffer: 64 * 1024 * 1024, timeout: contractMsMax },
  }
  return new Promise((resolve) => {
    execFile(node, [...args, ...contractFiles], options, (error, stdout, stderr) =>
      resolve({ exit: error === null ? 0 : 1, output: stdout + stderr }),
    )
  })
}

function urlSaidBy(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let heard = ''
    child.stderr?.on('data', (bytes: Buffer) => {
      heard += String(bytes)
      const url = /listens at (\S+)/.exec(heard)?.[1]
      if (url !== undefined) resolve(url)
    })
    child.stdout?.resume()
    child.on('close', () => reject(new Error(`the server ended: ${heard}`)))
  })
}

function end(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<number | null> {
  return new Promise((resolve) => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) {
      resolve(child?.exitCode ?? null)
      return
    }
    child.on('close', (code) => resolve(code))
    child.kill(signal)
  })
}
