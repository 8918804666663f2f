/**
 * PGlite's folder on the host, with the durability that PGlite leaves out: its `fsync` does
 * nothing. Here each one reaches the disk, the WAL's by way of group commit.
 */
import * as fs from 'node:fs'
import * as path from 'node:path'
import type { PGlite } from '@electric-sql/pglite'
import { NodeFS } from '@electric-sql/pglite/nodefs'
import type { Disk } from './disk.js'
import type { WalSync } from './wal-sync.js'

/** The parts of Emscripten's NODEFS and FS that are wrapped; checked by `checkNodeFs` at start. */
export interface NodeFsModule {
  readonly NODEFS: {
    readonly realPath: (node: FsNode) => string
    readonly tryFSOperation: <T>(work: () => T) => T
    readonly stream_ops: StreamOperations
    readonly node_ops: NodeOperations
  }
  readonly FS: { readonly isDir: (mode: number) => boolean }
}

interface FsNode {
  readonly mode: number
  /** Bytes in a data file, while all that changes it is seen here; undefined if it must be asked for. */
  kalamBytes?: number | undefined
}

interface FsStream {
  readonly nfd: number
  readonly node: FsNode
  /** What this file is to us; found once for each open file. */
  kalamFile?: FileKind
}

interface FileKind {
  readonly path: string
  readonly kind: 'wal' | 'data' | 'temporary'
}

interface Attributes {
  readonly size?: number
}

type Write = (
  stream: FsStream,
  buffer: Uint8Array,
  offset: number,
  length: number,
  position?: number,
) => number

interface StreamOperations {
  write: Write
  llseek: (stream: FsStream, offset: number, whence: number) => number
  setattr: (stream: FsStream, attributes: Attributes) => void
  fsync?: (stream: FsStream) => number
}

interface NodeOperations {
  setattr: (node: FsNode, attributes: Attributes) => void
  rename: (node: FsNode, folder: FsNode, name: string) => void
  unlink: (folder: FsNode, name: string) => void
  mknod: (folder: FsNode, name: string, mode: number, device: number) => FsNode
}

type EmscriptenOptions = Parameters<NodeFS['init']>[1]

export interface DurableFsOptions {
  readonly folder: string
  readonly disk: Disk
  readonly walSync: WalSync
  /** False for `engine.durability = "os"`: nothing is synced. */
  readonly durable: boolean
  readonly memory: WebAssembly.Memory | undefined
  /** WAL was written; by how much it has grown, which may be nothing. */
  readonly onWalWrite: (grownBytes: number) => void
  /** Bytes of temporary files; more, and `onTemporaryOverflow` is called with each write. */
  readonly temporaryBytesMax: number
  readonly onTemporaryOverflow: () => void
}

export class DurableFs extends NodeFS {
  readonly #options: DurableFsOptions
  /**
   * Sizes of what sorts, hashes and held cursors spill. PostgreSQL's own temp_file_limit fails the
   * write, and a held cursor that fails so cannot be closed any more: the engine dies.
   */
  readonly #temporarySizes = new Map<string, number>()
  #temporaryBytes = 0
  /** How far the newest WAL segment is written. */
  #walEnd = { path: '', bytes: 0 }

  constructor(options: DurableFsOptions) {
    super(options.folder)
    this.#options = options
  }

  override async init(pg: PGlite, options: EmscriptenOptions): ReturnType<NodeFS['init']> {
    const { emscriptenOpts } = await super.init(pg, options)
    const { memory } = this.#options
    if (memory !== undefined) Object.assign(emscriptenOpts, { wasmMemory: memory })
    const preRun = (emscriptenOpts as { preRun?: unknown }).preRun
    if (!Array.isArray(preRun)) throw new Error('PGlite: emscripten options without preRun')
    preRun.push((module: unknown) => this.#wrap(checkNodeFs(module)))
    return { emscriptenOpts }
  }

  #wrap(module: NodeFsModule): void {
    const { NODEFS } = module
    this.#wrapStreams(NODEFS)
    this.#wrapNodes(module)
  }

  #wrapStreams(nodeFs: NodeFsModule['NODEFS']): void {
    const { disk, walSync, durable } = this.#options
    const operations = nodeFs.stream_ops
    const fileOf = (stream: FsStream): FileKind =>
      (stream.kalamFile ??= kindOf(nodeFs.realPath(stream.node)))

    operations.write = (stream, buffer, offset, length, position) => {
      const file = fileOf(stream)
      if (file.kind === 'wal') this.#countWal(file.path, position ?? 0, length)
      else if (durable && file.kind === 'data') {
        // Emscripten's buffer may be one of signed bytes.
        const bytes = new Uint8Array(buffer.buffer, buffer.byteOffset + offset, length)
        if (!onlyMakesRoom(stream.nfd, bytes, position)) walSync.flushNow()
      } else if (file.kind === 'temporary')
        this.#countTemporary(file.path, (position ?? 0) + length)
      const { node } = stream
      const known = node.kalamBytes
      // Unknown again if the disk refuses, which may be in the middle.
      node.kalamBytes = undefined
      const written = nodeFs.tryFSOperation(() =>
        disk.write({ fd: stream.nfd, path: file.path }, buffer, offset, length, position),
      )
      if (known !== undefined && position !== undefined)
        node.kalamBytes = Math.max(known, position + written)
      return written
    }
    const seek = operations.llseek
    operations.llseek = (stream, offset, whence) => {
      if (whence !== fromEnd || fileOf(stream).kind !== 'data') return seek(stream, offset, whence)
      const { node } = stream
      node.kalamBytes ??= seek(stream, 0, fromEnd)
      // Before the start is an error, and the original's to raise.
      return offset < 0 ? seek(stream, offset, whence) : node.kalamBytes + offset
    }
    operations.fsync = (stream) => {
      if (!durable) return 0
      const file = fileOf(stream)
      if (file.kind === 'wal') {
        walSync.request(file.path)
        return 0
      }
      walSync.flushNow()
      nodeFs.tryFSOperation(() => disk.syncSync({ fd: stream.nfd, path: file.path }))
      return 0
    }
    const setAttributes = operations.setattr
    operations.setattr = (stream, attributes) => {
      const file = fileOf(stream)
      if (durable && file.kind === 'data' && attributes.size !== undefined) walSync.flushNow()
      if (attributes.size !== undefined) stream.node.kalamBytes = undefined
      setAttributes(stream, attributes)
      if (attributes.size !== undefined) disk.truncated(file.path, attributes.size)
    }
  }

  /** PostgreSQL writes the last page again with each commit: only what is new counts. */
  #countWal(segment: string, start: number, length: number): void {
    if (this.#walEnd.path !== segment) this.#walEnd = { path: segment, bytes: start }
    const end = Math.max(this.#walEnd.bytes, start + length)
    this.#options.onWalWrite(end - this.#walEnd.bytes)
    this.#walEnd.bytes = end
  }

  #countTemporary(file: string, sizeAtLeast: number): void {
    const size = this.#temporarySizes.get(file) ?? 0
    if (sizeAtLeast <= size) return
    this.#temporarySizes.set(file, sizeAtLeast)
    this.#temporaryBytes += sizeAtLeast - size
    const { temporaryBytesMax, onTemporaryOverflow } = this.#options
    if (this.#temporaryBytes > temporaryBytesMax) onTemporaryOverflow()
  }

  #forgetTemporary(file: string): void {
    this.#temporaryBytes -= this.#temporarySizes.get(file) ?? 0
    this.#temporarySizes.delete(file)
  }

  #wrapNodes({ NODEFS, FS }: NodeFsModule): void {
    const { disk, walSync } = this.#options
    const operations = NODEFS.node_ops
    const { rename, unlink, mknod, setattr } = operations
    operations.rename = (node, folder, name) => {
      const from = NODEFS.realPath(node)
      walSync.forget(from)
      rename(node, folder, name)
      disk.renamed(from, path.join(NODEFS.realPath(folder), name))
    }
    operations.unlink = (folder, name) => {
      const removed = path.join(NODEFS.realPath(folder), name)
      walSync.forget(removed)
      unlink(folder, name)
      disk.removed(removed)
      this.#forgetTemporary(removed)
    }
    operations.mknod = (folder, name, mode, device) => {
      const node = mknod(folder, name, mode, device)
      disk.created(NODEFS.realPath(node), FS.isDir(mode))
      return node
    }
    operations.setattr = (node, attributes) => {
      if (attributes.size !== undefined) node.kalamBytes = undefined
      setattr(node, attributes)
      if (attributes.size !== undefined) disk.truncated(NODEFS.realPath(node), attributes.size)
    }
  }
}

/** SEEK_END */
const fromEnd = 2

/** PostgreSQL makes a table longer by this much, or by several of it. */
const zeros = Buffer.alloc(64 * 1024)

/**
 * Zeros behind the end of a file: no page that the WAL tells of, so PostgreSQL does not sync it before
 * them either. One logged update in fifty needs such a page, and the syncs that blocked for them
 * were 18 % of the engine's thread (bench 2026-11-25).
 */
function onlyMakesRoom(fd: number, bytes: Uint8Array, position = 0): boolean {
  return (
    bytes.length <= zeros.length &&
    zeros.compare(bytes, 0, bytes.length, 0, bytes.length) === 0 &&
    fs.fstatSync(fd).size <= position
  )
}

const walSegment = /\/pg_wal\/[0-9A-F]{24}$/
const temporaryFile = /\/pgsql_tmp\/|\/pg_stat_tmp\/|\/t\d+_[^/]*$|postmaster\.pid$/

function kindOf(file: string): FileKind {
  if (walSegment.test(file)) return { path: file, kind: 'wal' }
  return { path: file, kind: temporaryFile.test(file) ? 'temporary' : 'data' }
}

/** PGlite's file layer is not public API: what is used of it must be there, by name. */
function checkNodeFs(module: unknown): NodeFsModule {
  const { NODEFS, FS } = module as Partial<NodeFsModule>
  const parts: Readonly<Record<string, unknown>> = {
    'NODEFS.realPath': NODEFS?.realPath,
    'NODEFS.tryFSOperation': NODEFS?.tryFSOperation,
    'NODEFS.stream_ops.write': NODEFS?.stream_ops.write,
    'NODEFS.stream_ops.llseek': NODEFS?.stream_ops.llseek,
    'NODEFS.stream_ops.setattr': NODEFS?.stream_ops.setattr,
    'NODEFS.node_ops.setattr': NODEFS?.node_ops.setattr,
    'NODEFS.node_ops.rename': NODEFS?.node_ops.rename,
    'NODEFS.node_ops.unlink': NODEFS?.node_ops.unlink,
    'NODEFS.node_ops.mknod': NODEFS?.node_ops.mknod,
    'FS.isDir': FS?.isDir,
  }
  const missing = Object.keys(parts).filter((name) => parts[name] === undefined)
  if (missing.length > 0)
    throw new Error(`this PGlite lacks ${missing.join(', ')}; KalamDB is made for 0.5.16`)
  return module as NodeFsModule
}
