/**
 * A folder that is written without syncing (`engine.durability = "os"`) may lose what was written
 * last, if the machine ends and not only the process. So it carries a mark, synced before the first
 * write, that names the machine's boot; a mark of another boot says that a tail may be lost. Only
 * when all that was written is on the disk does the mark go.
 */
import * as fs from 'node:fs'
import * as path from 'node:path'
import { bootId } from './boot-id.js'
import { syncPath, syncTree } from './sync-tree.js'

const markName = 'kalam.unsynced'

/** What the mark in a folder says. */
export type Unsynced =
  /** There is none: all is on the disk. */
  | 'nothing'
  /** There are writes that only the system has; the machine has been up since. */
  | 'some'
  /** The machine was started anew since: the last of them may be gone. */
  | 'lost'

export function readUnsynced(folder: string): Unsynced {
  const file = path.join(folder, markName)
  if (!fs.existsSync(file)) return 'nothing'
  const now = bootId()
  // A system that does not tell may have been started anew at any time.
  return now !== '' && fs.readFileSync(file, 'utf8') === now ? 'some' : 'lost'
}

/** From now on there may be writes that are not on the disk. */
export async function markUnsynced(folder: string): Promise<void> {
  const draft = path.join(folder, `${markName}.new`)
  await fs.promises.writeFile(draft, bootId(), { mode: 0o600 })
  await syncPath(draft)
  await fs.promises.rename(draft, path.join(folder, markName))
  await syncPath(folder)
}

/** Brings all of `database` to the disk and takes the mark away. Nothing may write meanwhile. */
export async function settleUnsynced(folder: string, database: string): Promise<void> {
  await syncTree(database)
  await fs.promises.rm(path.join(folder, markName), { force: true })
  await syncPath(folder)
}
