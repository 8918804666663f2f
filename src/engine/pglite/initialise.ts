/** Makes an empty database in the folder named by the first argument, and ends. Run as a process. */
import { PGlite } from '@electric-sql/pglite'

const folder = process.argv[2]
if (folder === undefined) throw new Error('usage: initialise.js FOLDER')
const pglite = await PGlite.create(folder)
await pglite.close()
process.exit(0)
