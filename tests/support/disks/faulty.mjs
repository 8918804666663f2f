/**
 * A disk that fails on command: while the file named by `switch` exists, it holds one of
 *   wal-write ENOSPC | wal-write EIO | wal-sync EIO | wal-wait EIO | data-write ENOSPC | data-write STANDSTILL
 * and the operation it names fails with that error. `wal-wait` is a sync that the engine waits for.
 * At a standstill it says so, by a file with `.standstill` to its name, and goes on no more.
 */
import * as fs from 'node:fs'

const commandFile = new URL(import.meta.url).searchParams.get('switch') ?? ''

function failIf(operation) {
  if (!fs.existsSync(commandFile)) return
  const [wanted, code] = fs.readFileSync(commandFile, 'utf8').trim().split(' ')
  if (wanted === operation && code === 'STANDSTILL') standStill()
  if (wanted === operation) throw Object.assign(new Error(`${code}: injected`), { code })
}

function standStill() {
  fs.writeFileSync(`${commandFile}.standstill`, '')
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
}

const isWal = (file) => /\/pg_wal\/[0-9A-F]{24}$/.test(file)

export const disk = {
  write(file, buffer, offset, length, position) {
    failIf(isWal(file.path) ? 'wal-write' : 'data-write')
    return fs.writeSync(file.fd, buffer, offset, length, position ?? null)
  },
  datasync(file, done) {
    try {
      failIf('wal-sync')
    } catch (error) {
      return void setImmediate(() => done(error))
    }
    fs.fdatasync(file.fd, done)
  },
  datasyncSync(file) {
    failIf('wal-sync')
    failIf('wal-wait')
    fs.fdatasyncSync(file.fd)
  },
  syncSync: (file) => fs.fsyncSync(file.fd),
  truncated() {},
  renamed() {},
  removed() {},
  created() {},
}
