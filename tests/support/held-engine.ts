import type { TestServer } from './server.js'
import { openWire } from './wire-session.js'

/** Somebody's transaction, which all statements wait for until it is let go of. */
export async function holdEngine(server: TestServer): Promise<() => Promise<void>> {
  const holder = await openWire(server)
  await holder.query('BEGIN')
  return async () => {
    await holder.query('COMMIT')
    await holder[Symbol.asyncDispose]()
  }
}
