/** `kalam serve` as a process of its own, which can be killed and started again on the same folder. */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { copyOfTemplate } from './engine.js'
import { freePort } from './free-port.js'
import { kalamBin, kalamEnv } from './kalam.js'
import { within } from './socket-client.js'

/** Where a server is, whether it runs or not. */
export interface Place {
  readonly home: string
  readonly folder: string
  readonly port: number
  readonly url: string
}

export async function openPlace(): Promise<Place> {
  const port = await freePort()
  return {
    home: mkdtempSync(join(tmpdir(), 'kalam-restarts-')),
    folder: copyOfTemplate(),
    port,
    url: `http://127.0.0.1:${port}`,
  }
}

export function closePlace({ home, folder }: Place): void {
  rmSync(home, { recursive: true, force: true })
  rmSync(join(folder, '..'), { recursive: true, force: true })
}

/** Resolves when it takes SQL. */
export async function serve({ home, folder, port, url }: Place): Promise<ChildProcess> {
  const args = ['serve', '--port', String(port), '--data-dir', folder, '--log-level', 'silent']
  const server = spawn(process.execPath, [kalamBin, ...args], {
    env: kalamEnv({ home }),
    stdio: 'ignore',
  })
  const deadlineMs = performance.now() + 60_000
  while (!(await isReady(url))) {
    if (performance.now() > deadlineMs) throw new Error('the server did not start within 60 s')
  }
  return server
}

/** With no `fetch`, which a simulated page has replaced. */
function isReady(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    get(`${url}/ready`, (answer) => {
      answer.resume()
      resolve(answer.statusCode === 200)
    }).on('error', () => setImmediate(resolve, false))
  })
}

export async function endServer(
  server: ChildProcess,
  signal: 'SIGTERM' | 'SIGKILL',
): Promise<void> {
  const ended = new Promise((resolve) => server.once('exit', resolve))
  server.kill(signal)
  await within('the end of the server', ended)
}
