// Builds the server and the benches, then runs one: node bench/run.js [name] [--quick] [--json]
import { execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)
const root = new URL('..', import.meta.url)
const compiler = require.resolve('typescript/bin/tsc')
const main = fileURLToPath(new URL('dist/bench/main.js', root))

execFileSync(process.execPath, [compiler, '-p', 'bench/tsconfig.json'], {
  cwd: root,
  // stdout belongs to --json.
  stdio: ['ignore', 2, 2],
})
try {
  execFileSync(process.execPath, [main, ...process.argv.slice(2)], { stdio: 'inherit' })
} catch (error) {
  process.exitCode = error.status ?? 1
}
