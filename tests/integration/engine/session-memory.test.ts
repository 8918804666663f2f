import * as fs from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Backend } from '#src/engine/pglite/backend.js'
import { claimTempSchema } from '#src/engine/pglite/claim-temp-schema.js'
import { realDisk } from '#src/engine/pglite/disk.js'
import { runAsSystem } from '#src/engine/pglite/run-as-system.js'
import { findPlaces, placesOfThisBuild } from '#src/engine/pglite/session-memory.js'
import { WalSync } from '#src/engine/pglite/wal-sync.js'
import { copyOfTemplate } from '../../support/engine.js'

test("PostgreSQL's variables are where they are said to be, as what they do shows", async () => {
  const folder = copyOfTemplate()
  const walSync = new WalSync({
    disk: realDisk,
    events: { synced: () => undefined, failed: (cause) => expect.unreachable(cause.message) },
    open: (path) => fs.openSync(path, 'r+'),
    close: (fd) => fs.closeSync(fd),
  })
  const wasmFile = createRequire(import.meta.url).resolve('@electric-sql/pglite/pglite.wasm')
  const wasmModule = new WebAssembly.Module(fs.readFileSync(wasmFile))
  const backend = await Backend.open({
    folder: join(folder, 'pgdata'),
    ...{ disk: realDisk, walSync, durable: false, memory: undefined, wasmModule },
    ...{ sharedBuffersBytes: 16 << 20, walBytesMax: 64 << 20, temporaryBytesMax: 1 << 20 },
    ...{ extensions: {}, onWalWrite: () => undefined, onStderr: () => undefined },
    openParts: () => {
      throw new Error('no answer of these comes in parts')
    },
  })
  try {
    const claimed = claimTempSchema(backend)
    const run = (sql: string) => void runAsSystem(backend, sql, null)
    expect(findPlaces(backend.sessionMemoryOptions({ claimed, run }))).toEqual(placesOfThisBuild)
  } finally {
    await backend.close()
    fs.rmSync(join(folder, '..'), { recursive: true, force: true })
  }
})
