/**
 * A process that writes to an engine of its own until it is killed, and says on standard output
 * `ready` once and then the number of each transaction that was acknowledged.
 *
 *   engine-writer.mjs FOLDER FIRST-NUMBER [DISK-MODULE]
 */
import * as fs from 'node:fs'
import { loadConfig } from '../../../dist/src/config/load-config.js'
import { firstError } from '../../../dist/src/engine/backend-messages.js'
import { systemIdentity } from '../../../dist/src/engine/engine.js'
import { simpleQuery } from '../../../dist/src/engine/frontend-messages.js'
import { openEngine } from '../../../dist/src/engine/open-engine.js'
import { createLog } from '../../../dist/src/telemetry/log.js'
import { createMetrics } from '../../../dist/src/telemetry/metrics.js'

const [folder, first, diskModule] = process.argv.slice(2)
const settings = {
  'server.data_dir': folder,
  'log.level': 'silent',
  'engine.shared_buffers_bytes': String(16 * 1024 * 1024),
}
const flags = Object.entries(settings).map(([key, value]) => ({ flag: '--set', key, value }))
const { config } = loadConfig({ env: {}, flags })
const engine = await openEngine({
  config,
  log: createLog(config.log),
  metrics: createMetrics(),
  diskModule,
})
const writers = 16
const transactionsPerCheckpoint = 400

async function run(sql) {
  const reply = await engine.run({
    bytes: simpleQuery(sql),
    identity: systemIdentity,
    searchPath: 'public',
    timeoutMs: 30_000,
    waitMs: 30_000,
    replyBytesMax: 1_000_000,
  })
  const error = firstError(reply)
  if (error !== undefined) throw error
}

fs.writeSync(1, 'ready\n')
let number = Number(first)
async function write() {
  for (;;) {
    const mine = ++number
    await run(
      `BEGIN; INSERT INTO written VALUES (${mine}, repeat('x', 400), ${mine % 97});
       UPDATE written SET n = n + 1 WHERE id = ${1 + (mine % 500)};
       UPDATE counter SET n = n + 1; COMMIT`,
    )
    fs.writeSync(1, `${mine}\n`)
    if (mine % transactionsPerCheckpoint === 0) await run('CHECKPOINT')
  }
}
await Promise.all(Array.from({ length: writers }, write))
