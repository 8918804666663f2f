/**
 * The one file that knows PGlite's insides: it opens the database, feeds it frontend messages,
 * takes the backend's, sets who they run as, and tells a failed statement from a dead engine.
 * What it uses beyond PGlite's public API is listed in `internals` and checked at start.
 */
import { PGlite } from '@electric-sql/pglite'
import type { Extensions, PGliteOptions } from '@electric-sql/pglite'
import { transactionStatus } from '../backend-messages.js'
import { failingMessage, MessageWriter, syncMessage } from '../frontend-messages.js'
import { systemIdentity, type Identity } from '../engine.js'
import {
  BackendSettings,
  guc,
  identitySetting,
  readOnlySetting,
  sessionSetting,
} from './backend-settings.js'
import type { CancelFlags } from './cancel-flags.js'
import type { CopyPort } from './copy-port.js'
import { CopyRouter } from './copy-router.js'
import { DurableFs, type DurableFsOptions } from './durable-fs.js'
import { KeptMemory, scanBytes, type KeptMemoryOptions } from './kept-memory.js'
import { keepRandomOpen, type StreamSystem } from './random-stream.js'
import { replyContents, type BackendNotification, type ReplyContents } from './reply-contents.js'
import { ReplyParts } from './reply-parts.js'
import { SettingNames } from './setting-names.js'
import { noSettings, type SessionSettings } from './session-settings.js'
import type { SessionMemoryOptions } from './session-memory.js'
import { StaticMemory } from './static-memory.js'

/** Emscripten's and PGlite's own functions and addresses; PGlite 0.5.16, `postgresMod.ts`, `pglitec.c`. */
interface Internals {
  readonly FS: StreamSystem
  readonly HEAPU8: Uint8Array
  readonly _QueryCancelPending: number
  readonly _InterruptPending: number
  _SetUserIdAndSecContext(roleOid: number, securityContext: number): void
  _SetConfigOption(name: number, value: number, context: number, source: number): void
  _GetConfigOption(name: number, missingOk: number, restrictPrivileged: number): number
  _NewGUCNestLevel(): number
  _AtEOXact_GUC(isCommit: number, nestLevel: number): void
  _IsTransactionState(): number
  _isTempNamespace(oid: number): number
  _hash_search(table: number, key: number, action: number, found: number): number
  _IsAbortedTransactionBlockState(): number
  _PostgresMainLoopOnce(): void
  _PostgresMainLongJmp(): void
  _PostgresSendReadyForQueryIfNecessary(): void
  _pgl_pq_flush(): void
  _pq_buffer_remaining_data(): number
  _pgl_set_rw_cbs(read: number, write: number): void
  _MemoryContextMemAllocated(context: number, recurse: number): number
  _hash_seq_init(scan: number, table: number): void
  _hash_seq_search(scan: number): number
  _malloc(bytes: number): number
  _free(pointer: number): void
  _guc_free(pointer: number): void
  UTF8ToString(pointer: number): string
  stackSave(): number
  stackRestore(pointer: number): void
  addFunction(callback: (pointer: number, length: number) => number, signature: string): number
}

const internals = [
  'FS',
  'HEAPU8',
  '_QueryCancelPending',
  '_InterruptPending',
  '_SetUserIdAndSecContext',
  '_SetConfigOption',
  '_GetConfigOption',
  '_NewGUCNestLevel',
  '_AtEOXact_GUC',
  '_IsTransactionState',
  '_isTempNamespace',
  '_hash_search',
  '_IsAbortedTransactionBlockState',
  '_PostgresMainLoopOnce',
  '_PostgresMainLongJmp',
  '_PostgresSendReadyForQueryIfNecessary',
  '_pgl_pq_flush',
  '_pq_buffer_remaining_data',
  '_pgl_set_rw_cbs',
  '_MemoryContextMemAllocated',
  '_hash_seq_init',
  '_hash_seq_search',
  '_malloc',
  '_free',
  '_guc_free',
  'UTF8ToString',
  'stackSave',
  'stackRestore',
  'addFunction',
] as const satisfies readonly (keyof Internals)[]

/** PostgreSQL's error recovery, as PGlite throws it (`POSTGRES_MAIN_LONGJMP`). */
const longJumpStatus = 100
/** miscadmin.h: the user id holds for this call and SQL may not change it. */
const securityLocalUserIdChange = 1
const bootstrapSuperuserOid = systemIdentity.roleOid

/** hsearch.h: HASH_FIND. */
const hashFind = 0

const syncBytes = 5
const readyForQueryBytes = 6
const noBytes = new Uint8Array(0)
const noNotifications: readonly BackendNotification[] = []

/** `I` idle, `T` in a transaction, `E` in a failed one; `none` where the unit ended in Flush. */
export type TransactionStatus = 'I' | 'T' | 'E' | 'none'

/** A unit as the backend takes it; see `Unit` of the engine's port. */
export interface BackendUnit {
  readonly bytes: Uint8Array
  readonly identity: Identity
  readonly searchPath: string | undefined
  readonly replyBytesMax: number
  /** Its last message. */
  readonly end: 'query' | 'sync' | 'flush'
  /** Settings end with the unit, if it ends in Sync. */
  readonly ownSettings: boolean
  /** The session whose it is, if it is one that lasts: what it sets stays there. */
  readonly settings?: SessionSettings | undefined
  /** Where the data of COPY in it comes from and goes to. */
  readonly copy?: CopyPort | undefined
  /** Serial of a unit whose answer comes in parts past `replyBytesMax`; else 0. */
  readonly partsOf?: number
}

export interface BackendReply {
  /** Whole messages; none if the answer was too large. */
  readonly bytes: Uint8Array
  readonly status: TransactionStatus
  /** The answer passed `replyBytesMax`, so the unit was cancelled. */
  readonly tooLarge: boolean
  /** Parts of the answer were left out, so the unit was made to fail. */
  readonly cutOff: boolean
  /** Temporary files passed `temporaryBytesMax`, so the unit was cancelled. */
  readonly tooMuchDisk: boolean
  /** A temporary table, view or function was made, or perhaps: the answer is not all there. */
  readonly madeTemporaryObject: boolean
  /** PostgreSQL found no memory for something of it. */
  readonly ranOutOfMemory: boolean
}

/** The engine cannot be trusted any more: it must be started again. */
export class BackendDead extends Error {}

export interface BackendOptions extends Omit<DurableFsOptions, 'onTemporaryOverflow'> {
  readonly sharedBuffersBytes: number
  readonly walBytesMax: number
  readonly extensions: Extensions
  readonly wasmModule: WebAssembly.Module
  readonly onStderr: (line: string) => void
  /** Where the answer of that unit goes to in parts. */
  readonly openParts: (serial: number, isCancelled: () => boolean) => CopyPort
}

export class Backend {
  readonly #pglite: PGlite
  readonly #module: Internals
  readonly #settings: BackendSettings
  #input: Uint8Array = new Uint8Array(0)
  #inputAt = 0
  #inputEnd = 0
  /** What PostgreSQL reads before it reads on in the unit. */
  #inputFirst: Uint8Array = noBytes
  #copy: CopyPort | undefined
  #router: CopyRouter | undefined
  #chunks: Uint8Array[] = []
  #chunkBytes = 0
  #tooMuchDisk = false
  #replyBytesMax = Infinity
  #partsOf = 0
  #parts: { readonly messages: ReplyParts; readonly port: CopyPort } | undefined
  readonly #openParts: BackendOptions['openParts']
  /** What the settings hold outside transactions; undefined when a transaction may have changed it. */
  #applied: { userId?: string; searchPath?: string; readOnly?: boolean } = {}
  #notifications: readonly BackendNotification[] = noNotifications
  /** The session that lasts whose settings the backend has; undefined for the server's own. */
  #resident: SessionSettings | undefined

  static async open(options: BackendOptions): Promise<Backend> {
    const opened: { backend?: Backend } = {}
    const onTemporaryOverflow = (): void => opened.backend?.overflowDisk()
    const pglite = await PGlite.create({
      fs: new DurableFs({ ...options, onTemporaryOverflow }),
      startParams: startParameters(options),
      extensions: options.extensions,
      onStderr: (line: string) => {
        options.onStderr(line)
        return true
      },
      pgliteWasmModule: options.wasmModule,
    } as PGliteOptions)
    opened.backend = new Backend(pglite, options.openParts)
    return opened.backend
  }

  private constructor(pglite: PGlite, openParts: BackendOptions['openParts']) {
    this.#pglite = pglite
    this.#openParts = openParts
    this.#module = checkInternals(pglite.Module)
    keepRandomOpen(this.#module.FS)
    this.#settings = this.#openSettings()
    this.#nameSession(undefined)
    const read = this.#module.addFunction((pointer, max) => this.#read(pointer, max), 'ipi')
    const write = this.#module.addFunction((pointer, length) => this.#write(pointer, length), 'ipi')
    this.#module._pgl_set_rw_cbs(read, write)
  }

  /** The memory that holds the cancel flags, for another thread; plain memory cannot be shared. */
  get cancelFlags(): CancelFlags | undefined {
    const { HEAPU8, _QueryCancelPending, _InterruptPending } = this.#module
    const memory: unknown = HEAPU8.buffer
    if (!(memory instanceof SharedArrayBuffer)) return undefined
    return { memory, addresses: [_QueryCancelPending, _InterruptPending] }
  }

  get memoryBytes(): number {
    return this.#module.HEAPU8.buffer.byteLength
  }

  /** The unit that runs was asked to end and has not seen it yet. */
  get isCancelled(): boolean {
    return this.#module.HEAPU8[this.#module._QueryCancelPending] !== 0
  }

  /** The unit that runs fills the disk: it is to end. */
  overflowDisk(): void {
    this.#tooMuchDisk = true
    this.#cancelHere()
  }

  clearCancel(): void {
    this.#module.HEAPU8[this.#module._QueryCancelPending] = 0
  }

  /**
   * Runs a unit to its end. Errors of SQL are inside the answer; throws BackendDead when PGlite
   * trapped, exited, or answered without ReadyForQuery.
   */
  run(unit: BackendUnit): BackendReply {
    this.#startReply(unit.replyBytesMax)
    this.#partsOf = unit.partsOf ?? 0
    this.#routeCopy(unit.copy)
    if (unit.identity.roleOid === bootstrapSuperuserOid && unit.searchPath !== undefined)
      this.#keepingSearchPath(() => this.#runAsCaller(unit))
    else this.#runAsCaller(unit)
    if (unit.settings !== undefined) this.#readSettings(unit.settings, unit.identity)
    return this.#takeReply(unit.end === 'flush')
  }

  /** What the backend listens to and was told since it was asked last; no part of any reply. */
  takeNotifications(): readonly BackendNotification[] {
    const notifications = this.#notifications
    this.#notifications = noNotifications
    return notifications
  }

  /** Makes the settings those of a session that lasts, or the server's own. Outside transactions. */
  enter(settings: SessionSettings | undefined): void {
    if (this.#resident === settings) return
    this.#resident = settings
    this.#nameSession(settings)
    this.#settings.exchange(settings ?? { defaults: noSettings, changed: noSettings })
    delete this.#applied.searchPath
    this.#applied.readOnly = settings?.changed.get(readOnlySetting) === 'on'
  }

  #nameSession(settings: SessionSettings | undefined): void {
    this.#set(sessionSetting, String(settings?.session ?? 0), guc.postmaster)
  }

  #startReply(replyBytesMax: number): void {
    this.#inputAt = 0
    this.#inputFirst = noBytes
    this.#copy = undefined
    this.#router = undefined
    this.#chunks = []
    this.#chunkBytes = 0
    this.#tooMuchDisk = false
    this.#replyBytesMax = replyBytesMax
    this.#partsOf = 0
    this.#parts = undefined
  }

  #routeCopy(copy: CopyPort | undefined): void {
    this.#copy = copy
    this.#router =
      copy?.hasOutput === true
        ? new CopyRouter({
            copy: (bytes) => copy.write(bytes),
            reply: (bytes) => this.#keep(bytes),
          })
        : undefined
  }

  #runAsCaller(unit: BackendUnit): void {
    this.#apply(unit)
    this.#asCaller(unit.identity, () => {
      if (unit.end === 'sync') this.#runToSync(unit.bytes, unit.ownSettings)
      else this.#runWhole(unit.bytes)
    })
  }

  #asCaller<T>(identity: Identity, work: () => T): T {
    this.#module._SetUserIdAndSecContext(identity.roleOid, securityLocalUserIdChange)
    try {
      return work()
    } finally {
      this.#module._SetUserIdAndSecContext(bootstrapSuperuserOid, 0)
    }
  }

  /** What the unit made of its session's settings, and so did its transaction's end. */
  #readSettings(settings: SessionSettings, identity: Identity): void {
    const changed = this.#settings.changed()
    // The caller's, not its own.
    if (identity.readOnly) changed.delete(readOnlySetting)
    settings.changed = changed
  }

  /**
   * Gives a session that lasts its defaults, before its first unit and with that one's rights. What
   * PostgreSQL says where it refuses one: the session then has none of them.
   */
  begin(settings: SessionSettings, identity: Identity): BackendReply | undefined {
    const { wanted } = settings
    if (wanted === undefined) return undefined
    settings.wanted = undefined
    this.enter(settings)
    this.#startReply(Infinity)
    // In a transaction: it may look up what the role may set.
    this.#runUpTo(beginningMessage, beginningMessage.length)
    this.#flush()
    this.#startReply(Infinity)
    const succeeded = this.#asCaller(identity, () =>
      this.#tries(() => this.#settings.setDefaults(wanted)),
    )
    this.#runUpTo(syncMessage, syncMessage.length)
    this.#flush()
    if (succeeded) settings.defaults = this.#settings.readDefaults()
    else this.#settings.exchange(settings)
    const reply = this.#takeReply(false)
    return succeeded ? undefined : reply
  }

  /**
   * The system may run inside a caller's session, whose search_path is the caller's to set. On it,
   * functions and operators of theirs would run with the system's rights; so it is put aside.
   */
  #keepingSearchPath(run: () => void): void {
    if (this.#resident !== undefined) {
      this.#onOtherPath(this.#resident, run)
      return
    }
    const kept = this.#settings.get('search_path') ?? ''
    run()
    this.#set('search_path', kept, guc.userSet)
    this.#applied = { ...this.#applied, searchPath: kept }
  }

  /** As in a function with a SET clause, so that a transaction's end leaves the session's own path. */
  #onOtherPath(resident: SessionSettings, run: () => void): void {
    const module = this.#module
    const isInTransaction = module._IsTransactionState() !== 0
    const nestLevel = isInTransaction ? module._NewGUCNestLevel() : 0
    run()
    delete this.#applied.searchPath
    if (module._IsTransactionState() !== 0) {
      if (isInTransaction) module._AtEOXact_GUC(0, nestLevel)
    } else if (module._IsAbortedTransactionBlockState() === 0) {
      this.#settings.exchangeOne('search_path', resident)
    }
  }

  /** The search path means other schemas than it did: PostgreSQL is to look them up anew. */
  forgetPath(): void {
    this.#set('search_path', 'pg_catalog', guc.userSet)
    delete this.#applied.searchPath
    if (this.#resident !== undefined) this.#settings.exchangeOne('search_path', this.#resident)
  }

  /** What `SessionMemory` works on. */
  sessionMemoryOptions(
    options: Pick<SessionMemoryOptions, 'run' | 'claimed'>,
  ): SessionMemoryOptions {
    const module = this.#module
    const key = module._malloc(4)
    const memory = new StaticMemory(module)
    return {
      ...options,
      memory,
      isTemporarySchema: (oid) => module._isTempNamespace(oid) !== 0,
      findInHash: (table, word) => {
        memory.setWord(key, word)
        return module._hash_search(table, key, hashFind, 0)
      },
    }
  }

  /** What cursors and prepared statements take, whose tables are told of in these places. */
  keptMemory(places: KeptMemoryOptions['places']): KeptMemory {
    const module = this.#module
    const scan = module._malloc(scanBytes)
    return new KeptMemory({ module, memory: new StaticMemory(module), places, scan })
  }

  /** The names of settings that nobody defines; that table's place. */
  settingNames(place: number): SettingNames {
    const module = this.#module
    const [scan, key] = [module._malloc(scanBytes), module._malloc(4)]
    return new SettingNames({ module, memory: new StaticMemory(module), place, scan, key })
  }

  /** Records of settings are gone, and others may be in their places. */
  forgetSettingRecords(): void {
    this.#settings.forgetRecords()
  }

  /** Whether PostgreSQL could have so much more memory, in one piece. */
  hasRoom(bytes: number): boolean {
    const pointer = this.#module._malloc(bytes)
    if (pointer === 0) return false
    this.#module._free(pointer)
    return true
  }

  /** Settings may have been changed by SQL (RESET ALL, a rolled-back transaction): set them anew. */
  forgetSettings(): void {
    this.#applied = {}
  }

  async close(): Promise<void> {
    await this.#pglite.close()
  }

  /** The messages up to Sync, then Sync, which commits: in between there is a last say. */
  #runToSync(bytes: Uint8Array, ownSettings: boolean): void {
    const syncAt = bytes.length - syncBytes
    const succeeded = ownSettings
      ? this.#runWithOwnSettings(bytes, syncAt)
      : this.#runUpTo(bytes, syncAt)
    // Rows of RETURNING are sent when all is done and cannot be interrupted any more. What the
    // caller will not get to see must not be kept: an error before Sync undoes it.
    if (succeeded && this.#lacksOfReply()) this.#runAside(failingMessage)
    this.#runUpTo(bytes, bytes.length)
    this.#flush()
  }

  /**
   * Settings that the unit changes, in functions it calls too, are put back before it commits: the
   * next unit is another caller's. It is what PostgreSQL does around a function with a SET clause.
   */
  #runWithOwnSettings(bytes: Uint8Array, end: number): boolean {
    // The first message begins the transaction; a nest level from before would not count.
    if (!this.#runUpTo(bytes, messageBytes(bytes, 0))) return this.#runUpTo(bytes, end)
    const nestLevel = this.#module._NewGUCNestLevel()
    const succeeded = this.#runUpTo(bytes, end)
    if (succeeded) this.#module._AtEOXact_GUC(0, nestLevel)
    return succeeded
  }

  #runWhole(bytes: Uint8Array): void {
    const succeeded = this.#runUpTo(bytes, bytes.length)
    this.#flush()
    if (this.#parts === undefined || !this.#lacksOfReply() || !succeeded) return
    this.#runAside(failingMessage)
    this.#flush()
  }

  /** Something of the answer up to here was left out. All parts have been taken then, if not. */
  #lacksOfReply(): boolean {
    const parts = this.#parts
    if (parts === undefined) return this.#chunkBytes > this.#replyBytesMax
    this.#flush()
    parts.messages.end()
    parts.port.settle()
    return parts.port.isRefused
  }

  /** Runs a message of our own in the middle of a unit. */
  #runAside(message: Uint8Array): void {
    const at = this.#inputAt
    this.#inputAt = 0
    this.#runUpTo(message, message.length)
    this.#inputAt = at
  }

  /** Lets PostgreSQL read on to `end`. False if a message failed: it skips the rest up to Sync. */
  #runUpTo(bytes: Uint8Array, end: number): boolean {
    this.#input = bytes
    let succeeded = true
    // A message at a time: what COPY FROM STDIN reads past its own is its data, and would end the
    // engine (08P01, FATAL) were it the unit's next one.
    while (this.#inputAt < end) {
      this.#inputEnd = Math.min(end, this.#inputAt + messageBytes(bytes, this.#inputAt))
      succeeded = this.#runMessages() && succeeded
    }
    return succeeded
  }

  #runMessages(): boolean {
    const module = this.#module
    let succeeded = true
    try {
      while (this.#inputAt < this.#inputEnd || module._pq_buffer_remaining_data() > 0) {
        succeeded = this.#tries(() => module._PostgresMainLoopOnce()) && succeeded
      }
      return succeeded
    } catch (thrown) {
      throw new BackendDead(describe(thrown), { cause: thrown })
    }
  }

  /** False if PostgreSQL raised an error, which it has told the client of. */
  #tries(work: () => void): boolean {
    const module = this.#module
    const stack = module.stackSave()
    try {
      work()
      return true
    } catch (thrown) {
      module.stackRestore(stack)
      if ((thrown as { status?: unknown }).status !== longJumpStatus) throw thrown
      module._PostgresMainLongJmp()
      return false
    }
  }

  /** As `#tries`, between units: nobody is told. */
  #triesAside(work: () => void): boolean {
    const [chunks, chunkBytes, replyBytesMax, router] = [
      this.#chunks,
      this.#chunkBytes,
      this.#replyBytesMax,
      this.#router,
    ]
    this.#chunks = []
    this.#replyBytesMax = Infinity
    this.#router = undefined
    const succeeded = this.#tries(work)
    if (!succeeded) this.#flush()
    this.#chunks = chunks
    this.#chunkBytes = chunkBytes
    this.#replyBytesMax = replyBytesMax
    this.#router = router
    return succeeded
  }

  #flush(): void {
    try {
      this.#module._PostgresSendReadyForQueryIfNecessary()
      this.#module._pgl_pq_flush()
    } catch (thrown) {
      throw new BackendDead(describe(thrown), { cause: thrown })
    }
  }

  #takeReply(endsInFlush: boolean): BackendReply {
    const parts = this.#parts
    parts?.port.end()
    const cutOff = parts?.port.isRefused === true
    const chunks = this.#chunks
    this.#chunks = []
    const only = chunks.length === 1 ? chunks[0] : undefined
    const received = only ?? Buffer.concat(chunks)
    const tooLarge = this.#chunkBytes > this.#replyBytesMax
    const tooMuchDisk = this.#tooMuchDisk
    const status = endsInFlush ? 'none' : transactionStatus(received)
    // An engine whose stack overflowed answers without it, and with nothing else either.
    if (status === undefined) throw new BackendDead('answered without ReadyForQuery')
    if (status !== 'I' && !endsInFlush) this.#applied = {}
    // Rows may be missing in the middle: what is left must not be taken for messages.
    if (this.#chunkBytes > this.#replyBytesMax + overrunBytesMax)
      return {
        bytes: noBytes,
        status,
        tooLarge,
        cutOff,
        tooMuchDisk,
        madeTemporaryObject: true,
        ranOutOfMemory: false,
      }
    const madeBefore =
      parts !== undefined && this.#readContents(parts.messages.noted).madeTemporaryObject
    const { bytes, madeTemporaryObject, ranOutOfMemory } = this.#readContents(received)
    return {
      bytes: tooLarge ? noBytes : bytes,
      status,
      tooLarge,
      cutOff,
      tooMuchDisk,
      madeTemporaryObject: madeTemporaryObject || madeBefore || tooLarge,
      ranOutOfMemory,
    }
  }

  #readContents(messages: Uint8Array): ReplyContents {
    const contents = replyContents(messages)
    const { notifications } = contents
    if (notifications.length > 0) this.#notifications = [...this.#notifications, ...notifications]
    return contents
  }

  /** Setting a value inside a transaction would be undone with it, so unknown values are set again. */
  #apply({ identity, searchPath, settings }: BackendUnit): void {
    const applied = this.#applied
    if (applied.userId !== identity.userId) {
      this.#set(identitySetting, identity.userId, guc.postmaster)
      applied.userId = identity.userId
    }
    if (searchPath !== undefined && applied.searchPath !== searchPath) {
      this.#set('search_path', searchPath, guc.userSet)
      applied.searchPath = searchPath
    }
    this.#applyReadOnly(identity.readOnly, settings)
  }

  #applyReadOnly(readOnly: boolean, settings: SessionSettings | undefined): void {
    const applied = this.#applied
    const wanted = readOnly || settings?.all.get(readOnlySetting) === 'on'
    // In a transaction it is the session's own to change.
    const isOwn = settings !== undefined && this.#module._IsTransactionState() !== 0
    // Always for read-only callers: an admin's set_config could have lifted it a unit ago.
    if (!readOnly && (isOwn || applied.readOnly === wanted)) return
    this.#set(readOnlySetting, wanted ? 'on' : 'off', guc.userSet)
    applied.readOnly = wanted
  }

  #set(name: string, value: string, context: number): void {
    try {
      this.#settings.set(name, value, context)
    } catch (thrown) {
      throw new BackendDead(`cannot set ${name}`, { cause: thrown })
    }
  }

  #openSettings(): BackendSettings {
    const module = this.#module
    const [name, value] = [new Scratch(module), new Scratch(module)]
    return new BackendSettings({
      module,
      memory: new StaticMemory(module),
      keepText: (text) => permanentText(module, text),
      passName: (text) => name.put(text),
      passText: (text) => value.put(text),
      attempt: (work) => this.#triesAside(work),
    })
  }

  #read(pointer: number, max: number): number {
    // Only COPY FROM STDIN reads past a message.
    if (this.#inputFirst.length === 0 && this.#inputAt >= this.#inputEnd)
      this.#inputFirst = this.#nextOfCopy()
    if (this.#inputFirst.length > 0) {
      const bytes = this.#inputFirst.subarray(0, max)
      this.#inputFirst = this.#inputFirst.subarray(bytes.length)
      this.#module.HEAPU8.set(bytes, pointer)
      return bytes.length
    }
    const length = Math.min(max, this.#inputEnd - this.#inputAt)
    const end = this.#inputAt + length
    this.#module.HEAPU8.set(this.#input.subarray(this.#inputAt, end), pointer)
    this.#inputAt = end
    return length
  }

  /** The next message of its data. There is always one: at an end of file PostgreSQL would exit. */
  #nextOfCopy(): Uint8Array {
    const copy = this.#copy
    if (copy?.hasInput !== true) return withoutData
    const input = copy.read(copyDataBytes)
    const writer = new MessageWriter(receiveBufferBytes)
    switch (input.kind) {
      case 'data':
        return writer.copyData(input.bytes).finish()
      case 'done':
        return writer.copyDone().finish()
      case 'failed':
        return writer.copyFail(input.reason).finish()
    }
  }

  #write(pointer: number, length: number): number {
    const bytes = this.#module.HEAPU8.subarray(pointer, pointer + length)
    if (this.#router === undefined) this.#keep(bytes)
    else this.#router.route(bytes)
    return length
  }

  /** Makes the bytes, which are PGlite's memory, part of the reply. */
  #keep(bytes: Uint8Array): void {
    if (this.#parts !== undefined) {
      this.#parts.messages.take(bytes)
      return
    }
    this.#chunkBytes += bytes.length
    if (this.#chunkBytes > this.#replyBytesMax) {
      if (this.#partsOf !== 0) {
        this.#beginParts(bytes)
        return
      }
      this.#cancelHere()
    }
    // Past the bound by this much only a single row can be: it is not kept.
    // A small copy shares a pool: a buffer of its own would cost more than its query.
    if (this.#chunkBytes <= this.#replyBytesMax + overrunBytesMax)
      this.#chunks.push(Buffer.from(bytes))
    else this.#keepEnd(bytes)
  }

  #beginParts(bytes: Uint8Array): void {
    const port = this.#openParts(this.#partsOf, () => this.isCancelled)
    const messages = new ReplyParts({
      out: (part) => port.write(part),
      hold: (rest) => this.#chunks.push(rest.slice()),
    })
    this.#parts = { messages, port }
    const held = this.#chunks
    this.#chunks = []
    this.#chunkBytes = 0
    for (const chunk of held) messages.take(chunk)
    messages.take(bytes)
  }

  /** Of what is not kept, ReadyForQuery must still be found at the end. */
  #keepEnd(bytes: Uint8Array): void {
    const before = this.#chunks.at(-1) ?? noBytes
    // PostgreSQL sends its buffer whenever it is full, within a message too.
    this.#chunks = [before.slice(-readyForQueryBytes), bytes.slice()]
  }

  #cancelHere(): void {
    const { HEAPU8, _QueryCancelPending, _InterruptPending } = this.#module
    HEAPU8[_QueryCancelPending] = 1
    HEAPU8[_InterruptPending] = 1
  }
}

/** The length of the message that starts there. */
function messageBytes(bytes: Uint8Array, start: number): number {
  return 1 + Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).readInt32BE(start + 1)
}

/** Rows that PostgreSQL may still send after a cancel asked from inside its output. */
const overrunBytesMax = 16 * 1024 * 1024

function startParameters(options: BackendOptions): string[] {
  const settings: Record<string, string> = {
    fsync: options.durable ? 'on' : 'off',
    // The one method whose system call reaches the file layer; fdatasync's stub answers 0.
    wal_sync_method: 'fsync',
    shared_buffers: `${Math.ceil(options.sharedBuffersBytes / 1024)}kB`,
    max_wal_size: `${Math.ceil(options.walBytesMax / 1024 / 1024)}MB`,
    min_wal_size: '48MB',
    TimeZone: 'UTC',
    log_min_messages: 'fatal',
  }
  return [
    ...PGlite.defaultStartParams.filter((parameter) => parameter !== '-F' && parameter !== '-O'),
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ]
}

function checkInternals(module: unknown): Internals {
  const found = module as Partial<Internals>
  const missing = internals.filter((name) => found[name] === undefined)
  if (missing.length > 0)
    throw new Error(`this PGlite lacks ${missing.join(', ')}; KalamDB is made for 0.5.16`)
  return module as Internals
}

function describe(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message
  // Emscripten throws plain objects with a status when the program exits.
  const status = (thrown as { status?: unknown } | null)?.status
  return typeof status === 'number' ? `exited with status ${status}` : 'threw what is no error'
}

/** Text that PostgreSQL may keep a pointer to; never freed. */
function permanentText(module: Internals, text: string): number {
  const bytes = Buffer.from(`${text}\0`)
  const pointer = allocate(module, bytes.length)
  module.HEAPU8.set(bytes, pointer)
  return pointer
}

function allocate(module: Internals, bytes: number): number {
  const pointer = module._malloc(bytes)
  if (pointer === 0) throw new BackendDead('there is no memory for a setting')
  return pointer
}

/** A longer text is given back with the next. */
const scratchBytes = 64 * 1024

/** One reused piece of PGlite's memory for the text of a setting; PostgreSQL copies it. */
class Scratch {
  readonly #module: Internals
  #pointer = 0
  #bytes = 0

  constructor(module: Internals) {
    this.#module = module
  }

  put(text: string): number {
    const bytes = Buffer.from(`${text}\0`)
    if (bytes.length > this.#bytes || this.#bytes > scratchBytes) {
      this.#module._free(this.#pointer)
      this.#bytes = Math.max(1024, bytes.length)
      this.#pointer = allocate(this.#module, this.#bytes)
    }
    this.#module.HEAPU8.set(bytes, this.#pointer)
    return this.#pointer
  }
}

/** PostgreSQL's own buffer (pqcomm.c): a CopyData message fits it whole. */
const receiveBufferBytes = 8192
const copyDataBytes = receiveBufferBytes - 5
const withoutData = new MessageWriter().copyFail('this door cannot send COPY data').finish()
/** Begins a transaction, as the first message of any extended unit does. */
const beginningMessage = new MessageWriter().parse('', '').finish()
