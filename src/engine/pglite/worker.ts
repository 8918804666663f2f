/**
 * The thread that owns PGlite. It is started by `pglite-engine.ts` with `WorkerOptions`, tells
 * `ready`, then answers units until `close`, or says `dead` and waits to be ended.
 */
import * as fs from 'node:fs'
import { createRequire } from 'node:module'
import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import { Control } from './control.js'
import { createCopyEnds } from './copy-channel.js'
import { CopyPort } from './copy-port.js'
import { realDisk, type Disk } from './disk.js'
import type { Backend } from './backend.js'
import { Checkpointer } from './checkpointer.js'
import { claimTempSchema } from './claim-temp-schema.js'
import { HeldLock, lockedDisk } from './held-lock.js'
import {
  unitHeadAt,
  unitHeadFields,
  type FromWorker,
  type ToWorker,
  type WorkerOptions,
} from './messages.js'
import { createSharedMemory, shareMemoryOfThisRealm, withSharedMemory } from './shared-memory.js'
import { runAsSystem } from './run-as-system.js'
import { Scheduler } from './scheduler.js'
import { SessionMemory } from './session-memory.js'
import { SessionObjects } from './session-objects.js'
import { WalSync } from './wal-sync.js'

const port = parentPort
if (port === null) throw new Error('this file is a worker: start it with new Worker()')
const options = workerData as WorkerOptions
const control = new Control(options.control)
let isDead = false

function tell(message: FromWorker, transfer: (ArrayBuffer | MessagePort)[] = []): void {
  port?.postMessage(message, transfer)
}

function die(cause: unknown): void {
  if (isDead) return
  isDead = true
  tell({ kind: 'dead', cause: cause instanceof Error ? cause.message : String(cause) })
}

try {
  await serve()
} catch (cause) {
  die(cause)
}

async function serve(): Promise<void> {
  const lock = new HeldLock(options.lock, () => performance.now())
  const disk = lockedDisk(await chosenDisk(), lock)
  // The sync tells the scheduler, which needs the backend, which needs the sync.
  const later: { scheduler?: Scheduler } = {}
  const walSync = new WalSync({
    disk,
    events: {
      synced: (_mark, micros) => {
        later.scheduler?.release(micros)
        walSync.start()
      },
      failed: (cause) => die(new Error(`the WAL could not be synced: ${cause.message}`, { cause })),
    },
    open: (path) => fs.openSync(path, 'r+'),
    close: (fd) => fs.closeSync(fd),
  })
  const wasmModule = options.wasmModule ?? compilePGlite()
  const backend = await openBackend({ disk, walSync, wasmModule })
  const claimed = claimTempSchema(backend)
  const memory = new SessionMemory(
    backend.sessionMemoryOptions({
      claimed,
      // Setting a path is among what is looked for.
      run: (sql) => void runAsSystem(backend, sql, null),
    }),
  )
  control.memoryBytes = backend.memoryBytes
  const scheduler = new Scheduler({
    backend,
    objects: new SessionObjects({ backend, memory, claimed }),
    control,
    walSync,
    checkpointer: new Checkpointer({
      backend,
      control,
      walBytesMax: options.checkpointWalBytes,
      onCheckpoint: (checkpoint) => tell({ kind: 'checkpoint', checkpoint }),
    }),
    send: ({ heads, bytes, asides }, syncMicros) => {
      tell({ kind: 'replies', heads, bytes, asides, syncMicros }, [bytes.buffer])
    },
    onExpired: (session, ended) => tell({ kind: 'expired', session, outcome: ended }),
    onDead: die,
  })
  later.scheduler = scheduler
  listen(scheduler, backend, walSync)
  tell({ kind: 'ready', cancelFlags: backend.cancelFlags, wasmModule })
}

function listen(scheduler: Scheduler, backend: Backend, walSync: WalSync): void {
  port?.on('message', (message: ToWorker) => {
    if (isDead) return
    if (message.kind === 'units') {
      scheduler.accept(unitsOf(message))
      control.memoryBytes = backend.memoryBytes
      return
    }
    scheduler.stop()
    walSync.closeAll()
    backend.close().then(() => tell({ kind: 'closed' }), die)
  })
}

function* unitsOf({ heads, bytes, copies, lasting }: ToWorker & { kind: 'units' }) {
  for (let at = 0; at < heads.length; at += unitHeadFields) {
    const head = unitHeadAt(heads, at)
    const copy = copies.find(({ serial }) => serial === head.serial)
    yield {
      head,
      bytes: bytes.subarray(head.offset, head.offset + head.length),
      copy,
      lasting: lasting.find(({ session }) => session === head.session),
    }
  }
}

async function chosenDisk(): Promise<Disk> {
  if (options.diskModule === undefined) return realDisk
  const module = (await import(options.diskModule)) as { readonly disk: Disk }
  return module.disk
}

function compilePGlite(): WebAssembly.Module {
  const wasmFile = createRequire(import.meta.url).resolve('@electric-sql/pglite/pglite.wasm')
  return new WebAssembly.Module(withSharedMemory(fs.readFileSync(wasmFile)))
}

/** PGlite is loaded after this realm's WebAssembly was patched, never before. */
async function openBackend(parts: {
  readonly disk: Disk
  readonly walSync: WalSync
  readonly wasmModule: WebAssembly.Module
}): Promise<Backend> {
  shareMemoryOfThisRealm()
  const [{ Backend: PGliteBackend }, { loadExtensions }] = await Promise.all([
    import('./backend.js'),
    import('./extensions.js'),
  ])
  return PGliteBackend.open({
    ...parts,
    folder: options.folder,
    durable: options.durable,
    memory: createSharedMemory(),
    sharedBuffersBytes: options.sharedBuffersBytes,
    walBytesMax: options.walBytesMax,
    temporaryBytesMax: options.temporaryBytesMax,
    extensions: await loadExtensions(options.extensions),
    onWalWrite: (bytes) => control.addWalBytes(bytes),
    onStderr: (line) => tell({ kind: 'stderr', line }),
    openParts: (serial, isCancelled) => openParts(serial, { walSync: parts.walSync, isCancelled }),
  })
}

/** Rare: only then a port is made, and only where an answer turns out to be long. */
function openParts(
  serial: number,
  { walSync, isCancelled }: { readonly walSync: WalSync; readonly isCancelled: () => boolean },
): CopyPort {
  const [here, there] = createCopyEnds()
  tell({ kind: 'parts', serial, end: there }, [there.port])
  return new CopyPort({
    ...{ end: here, hasInput: false, hasOutput: true, isCancelled },
    beforeOutput: () => walSync.flushNow(),
  })
}
