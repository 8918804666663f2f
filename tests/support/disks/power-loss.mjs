/**
 * A disk that can lose its power: beside the real folder it keeps a shadow, which gets only what
 * was made durable. The shadow at any moment is what a machine would find after a power cut.
 *
 * Settings come with the URL: `folder`, `shadow`, and
 *   `land=sync`    nothing reaches the shadow before its sync;
 *   `land=at-once` data files reach it at once, the WAL only when synced (worst case for WAL before
 *                  data);
 *   `lie=wal`      syncs of the WAL are answered and not done: the negative control.
 *
 * Assumed: folder operations are durable at once, sectors are not torn.
 */
import * as fs from 'node:fs'
import * as path from 'node:path'

const settings = new URL(import.meta.url).searchParams
const folder = settings.get('folder') ?? ''
const shadow = settings.get('shadow') ?? ''
const landAtOnce = settings.get('land') === 'at-once'
const liesAboutWal = settings.get('lie') === 'wal'
/** Longest that a sync takes, in ms. */
const syncMsMax = 3

/** Path → writes that are not durable: [position, bytes]. */
const pending = new Map()
/** Writes whose sync is under way, in order of their start. */
let inFlight = []

const isWal = (file) => file.includes('/pg_wal/')
const shadowOf = (file) => path.join(shadow, path.relative(folder, file))

function land(file, writes) {
  if (writes.length === 0) return
  let fd
  try {
    fd = fs.openSync(shadowOf(file), fs.existsSync(shadowOf(file)) ? 'r+' : 'w+')
  } catch (error) {
    if (error.code === 'ENOENT') return
    throw error
  }
  for (const [position, bytes] of writes) fs.writeSync(fd, bytes, 0, bytes.length, position)
  fs.closeSync(fd)
}

function takePending(file) {
  const writes = pending.get(file) ?? []
  pending.delete(file)
  return writes
}

function syncNow(file) {
  for (const flight of inFlight.filter((one) => one.file === file)) land(file, flight.writes)
  inFlight = inFlight.filter((one) => one.file !== file)
  land(file, takePending(file))
}

export const disk = {
  write(file, buffer, offset, length, position) {
    const written = fs.writeSync(file.fd, buffer, offset, length, position ?? null)
    const copy = Buffer.from(buffer.slice(offset, offset + written))
    if (landAtOnce && !isWal(file.path)) land(file.path, [[position, copy]])
    else pending.set(file.path, [...(pending.get(file.path) ?? []), [position, copy]])
    return written
  },
  datasync(file, done) {
    if (liesAboutWal && isWal(file.path)) return void setImmediate(() => done(null))
    const flight = { file: file.path, writes: takePending(file.path) }
    inFlight.push(flight)
    setTimeout(() => {
      if (inFlight.includes(flight)) land(flight.file, flight.writes)
      inFlight = inFlight.filter((one) => one !== flight)
      done(null)
    }, Math.random() * syncMsMax)
  },
  datasyncSync(file) {
    if (liesAboutWal && isWal(file.path)) return
    syncNow(file.path)
  },
  syncSync(file) {
    if (liesAboutWal && isWal(file.path)) return
    syncNow(file.path)
  },
  truncated(file, size) {
    if (fs.existsSync(shadowOf(file))) fs.truncateSync(shadowOf(file), size)
    const kept = (pending.get(file) ?? []).filter(([position]) => position < size)
    if (pending.has(file)) pending.set(file, kept)
  },
  renamed(from, to) {
    if (fs.existsSync(shadowOf(from))) fs.renameSync(shadowOf(from), shadowOf(to))
    for (const flight of inFlight) if (flight.file === from) flight.file = to
    const writes = pending.get(from)
    pending.delete(from)
    if (writes !== undefined) pending.set(to, writes)
  },
  removed(file) {
    fs.rmSync(shadowOf(file), { force: true })
    pending.delete(file)
  },
  created(file, isFolder) {
    if (isFolder) fs.mkdirSync(shadowOf(file), { recursive: true })
    else if (!fs.existsSync(shadowOf(file))) fs.writeFileSync(shadowOf(file), '')
  },
}
