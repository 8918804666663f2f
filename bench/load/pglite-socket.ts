import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { repository } from './kalam-server.js'

/**
 * The script of PGlite's own socket server, installed when a bench first needs it: it is no
 * dependency of the project. `undefined` when it cannot be.
 */
export function installPgliteSocket(): string | undefined {
  const folder = fileURLToPath(new URL('bench/peers/', repository))
  const script = join(folder, 'node_modules/@electric-sql/pglite-socket/dist/scripts/server.js')
  if (existsSync(script)) return script
  try {
    const flags = ['ci', '--ignore-scripts', '--no-audit', '--no-fund']
    execFileSync('npm', flags, { cwd: folder, stdio: 'pipe' })
    return script
  } catch {
    return undefined
  }
}
