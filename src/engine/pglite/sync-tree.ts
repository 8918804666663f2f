import * as fs from 'node:fs'
import * as path from 'node:path'

/** Brings a folder and all that is in it to the disk. */
export async function syncTree(folder: string): Promise<void> {
  const entries = await fs.promises.readdir(folder, { withFileTypes: true })
  for (const entry of entries) {
    const inside = path.join(folder, entry.name)
    await (entry.isDirectory() ? syncTree(inside) : syncPath(inside))
  }
  await syncPath(folder)
}

/** One file, or a folder's list of names. */
export async function syncPath(file: string): Promise<void> {
  const handle = await fs.promises.open(file, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
