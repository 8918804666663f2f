import { mkdtempSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Linux keeps what is here in memory: a data folder of 1,000 files is copied there four times as fast. */
const memoryFolder = '/dev/shm'
/** Containers often have 64 MB of it. Data folders of 40 MB, some of which grow, and two run at once. */
const freeBytesMin = 4 * 1024 * 1024 * 1024

/** A new folder, to be removed by the caller; in memory where there is room for it. */
export function makeScratchFolder(prefix: string): string {
  return mkdtempSync(join(hasRoomInMemory() ? memoryFolder : tmpdir(), prefix))
}

function hasRoomInMemory(): boolean {
  try {
    const { bavail, bsize } = statfsSync(memoryFolder)
    return bavail * bsize >= freeBytesMin
  } catch {
    return false
  }
}
