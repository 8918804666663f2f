/**
 * The thread that owns PGlite. It is started by `pglite-engine.ts` with `WorkerOptions`, tells
 * `ready`, then answers units until `close`, or says `dead` and waits to be ended.
 */
import * as fs from 'node:fs'
import { createRequire } from 'node:module'
import { workerData, type Transferable } from 'node:worker_threads'
import { Control } from './control.js'
import { createCopyEnds } from './copy-channel.js'
import { CopyPort } from './copy-port.js'
import { realDisk, type Disk } from './disk.js'
import type { Backend } from './backend.js'
import { Checkpointer } from './checkpointer.js'
import { claimTempSchema } from './claim-temp-schema.js'
import { HeldLock, lockedDisk } from './held-lock.js'
import { BusyPoll } from './busy-poll.js'
import type { FromWorker, ToWorker, WorkerOptions } from './messages.js'
import { replyRecordBytes, writeReply } from './reply-record.js'
import { createSharedMemory, shareMemoryOfThisRealm, withSharedMemory } from './shared-memory.js'
import { runAsSystem } from './run-as-system.js'
import { Scheduler, type QueuedUnit, type SettledReply } from './scheduler.js'
import { SessionMemory } from './session-memory.js'
import { SessionObjects } from './session-objects.js'
import { ThreadReceiver, ThreadSender } from './thread-channel.js'
import { readUnit } from './unit-record.js'
import { WalSync } from './wal-sync.js'

/** The part of PostgreSQL's memory that is to be there in one piece, after it found none. */
const roomShare = 8

const options = workerData as WorkerOptions
const control = new Control(options.control)
let isDead = false

const server = new ThreadSender<FromWorker>(options.tells)

function tell(message: FromWorker, transfer: readonly Transferable[] = []): void {
  server.post(message, transfer)
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
  const kept = backend.keptMemory(memory.tables)
  const scheduler = new Scheduler({
    backend,
    settingNames: backend.settingNames(memory.tables.settings),
    memory: {
      names: () => kept.names(),
      memoryBytes: () => backend.memoryBytes,
      sessionBytesMax: options.sessionBytesMax,
      allBytesMax: options.sessionsBytesMax,
      hasRoom: (bytes) => backend.hasRoom(bytes),
      roomBytes: options.memoryBytesMax / roomShare,
      now: () => performance.now(),
    },
    objects: new SessionObjects({ backend, memory, claimed }),
    control,
    walSync,
    checkpointer: new Checkpointer({
      backend,
      control,
      walBytesMax: options.checkpointWalBytes,
      onCheckpoint: (checkpoint) => tell({ kind: 'checkpoint', checkpoint }),
    }),
    send: answer,
    onSent: (units, micros) => {
      if (micros !== undefined) tell({ kind: 'synced', micros, units })
      server.wake()
    },
    onExpired: (session, ended) => tell({ kind: 'expired', session, outcome: ended }),
    onDead: die,
  })
  later.scheduler = scheduler
  listen(scheduler, backend, walSync)
  tell({ kind: 'ready', cancelFlags: backend.cancelFlags, wasmModule })
}

function answer(reply: SettledReply): void {
  const { serial, outcome, bytes, asides } = reply
  const isRecord =
    asides.length === 0 &&
    server.put(replyRecordBytes(bytes), (ring, place) => writeReply(reply, ring, place))
  if (!isRecord) tell({ kind: 'reply', serial, outcome, bytes, asides })
}

/** Longest that it works without a turn of the event loop, in ms: timers and finished syncs are there. */
const turnMs = 2

/** With more answers to read the server's thread has enough to do, and its clients need the core. */
const fewAnswers = 2

function listen(scheduler: Scheduler, backend: Backend, walSync: WalSync): void {
  let units: QueuedUnit[] = []
  const runAll = (): void => {
    const accepted = units
    units = []
    if (accepted.length > 0) scheduler.accept(accepted)
  }
  const receiver = new ThreadReceiver<ToWorker>(options.hears, {
    record: (ring, place) => units.push(readUnit(ring, place)),
    message: (message) => {
      if (message.kind === 'unit') {
        units.push(message)
        return
      }
      runAll()
      isDead = true
      scheduler.stop()
      walSync.closeAll()
      backend.close().then(() => tell({ kind: 'closed' }), die)
    },
  })
  const busyPoll = new BusyPoll(options.busyPollMs)
  const mayLook = (): boolean => scheduler.isIdle && server.unread <= fewAnswers
  const work = (): void => {
    const turnEnds = performance.now() + turnMs
    busyPoll.came()
    do {
      receiver.takeAll()
      if (isDead) return
      runAll()
      control.memoryBytes = backend.memoryBytes
      if (performance.now() > turnEnds) {
        setImmediate(work)
        return
      }
    } while (mayLook() && busyPoll.waitFor(() => receiver.hasCome))
    if (!receiver.fallAsleep()) setImmediate(work)
  }
  receiver.listen(work)
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
    memory: createSharedMemory(options.memoryBytesMax),
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
