import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below those that systems give to who asks for any port: no connection or server takes one of these by chance. */
const first = 20_000
/** For each process of tests, and for each of its threads. */
const perProcess = 100
const perThread = 50

let next =
  first +
  (process.pid % 100) * perProcess +
  ((Number(process.env['VITEST_POOL_ID'] ?? 0) * perThread) % perProcess)

/** A port of the loopback interface that nobody listens on, and nobody but the caller will. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = next++
    if (await isFree(port)) return port
  }
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer().listen(port, '127.0.0.1')
  try {
    await once(probe, 'listening')
  } catch {
    return false
  }
  probe.close()
  await once(probe, 'close')
  return true
}
