// Builds the SDK, which cli is a user of, then compiles src and cli to dist. The worker and the initialiser are run from dist by file name,
// so tests run the same files that ship.
import { execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { rmSync } from 'node:fs'

const require = createRequire(import.meta.url)
const root = new URL('..', import.meta.url)

if (process.argv.includes('--clean'))
  rmSync(new URL('dist', root), { recursive: true, force: true })
execFileSync(process.execPath, ['link/sdks/typescript/build.js'], { cwd: root, stdio: 'inherit' })
execFileSync(process.execPath, [require.resolve('typescript/bin/tsc'), '-p', 'tsconfig.json'], {
  cwd: root,
  stdio: 'inherit',
})
