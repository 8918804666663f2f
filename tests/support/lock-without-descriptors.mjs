// Holds the lock of a folder, uses up all file descriptors, and tells whether two heartbeats later
// the lock is still its own. Arguments: the compiled folder-lock.js, the folder.
import { openSync, statSync } from 'node:fs'
import { join } from 'node:path'

const [module, folder] = process.argv.slice(2)
const { lockFolder } = await import(module)
const beats = () => statSync(join(folder, 'kalam.lock')).mtimeMs

const finish = (text) => process.stdout.write(`${text}\n`, () => process.exit())
await lockFolder(folder, () => finish('lost'))
try {
  for (;;) openSync('/dev/null')
} catch (error) {
  if (error.code !== 'EMFILE') throw error
}
let last = beats()
let seen = 0
setInterval(() => {
  if (beats() === last) return
  last = beats()
  if (++seen === 2) finish('kept')
}, 50)
