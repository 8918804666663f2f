import * as fs from 'node:fs'

/**
 * What the engine asks of the disk. Tests put one in its place that loses power, runs full or
 * fails; see `EngineOptions.diskModule`.
 */
export interface Disk {
  /** Writes like pwrite; throws Node's error (ENOSPC, EIO) as node:fs does. */
  write(
    file: OpenFile,
    buffer: Uint8Array,
    offset: number,
    length: number,
    position?: number,
  ): number
  /** fdatasync without blocking; `done` gets the error. */
  datasync(file: OpenFile, done: (error: Error | null) => void): void
  datasyncSync(file: OpenFile): void
  /** fsync of a file or folder. */
  syncSync(file: OpenFile): void
  truncated(path: string, sizeBytes: number): void
  renamed(from: string, to: string): void
  removed(path: string): void
  created(path: string, isFolder: boolean): void
}

export interface OpenFile {
  readonly fd: number
  readonly path: string
}

const nothing = (): void => undefined

export const realDisk: Disk = {
  write: (file, buffer, offset, length, position) =>
    fs.writeSync(file.fd, buffer, offset, length, position ?? null),
  datasync: (file, done) => fs.fdatasync(file.fd, done),
  datasyncSync: (file) => fs.fdatasyncSync(file.fd),
  syncSync: (file) => fs.fsyncSync(file.fd),
  truncated: nothing,
  renamed: nothing,
  removed: nothing,
  created: nothing,
}
