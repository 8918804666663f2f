import type { ExitName } from './exit-code.js'
import type { ServerConnection } from './server-connection.js'
import { displayLine } from './display-text.js'
import type { Surroundings } from './surroundings.js'

/** `kalam status`: whether a server answers, its version, and whether it takes SQL now. */
export async function runStatus(
  connection: ServerConnection,
  { stdout }: Surroundings,
): Promise<ExitName> {
  const { url, format } = connection.target
  const { ready, version, state } = await connection.state()
  const answer = { url, version, ready, state }
  if (format === 'json') stdout.write(`${JSON.stringify(answer)}\n`)
  else if (format === 'csv') {
    stdout.write(`url,version,ready,state\r\n${url},${version},${ready},${state}\r\n`)
  } else {
    stdout.write(`KalamDB ${displayLine(version)} at ${url}: ${displayLine(state)}\n`)
  }
  return ready ? 'ok' : 'notConnected'
}
