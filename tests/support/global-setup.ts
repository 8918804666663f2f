/**
 * Makes one data folder for the whole run, with the system schema in it: each test's server starts
 * from a copy in a third of a second, where a first start takes four. Vitest calls it for the root
 * and for each project; what the root provides, all have. Holds PGlite
 * compiled, too, and watches that the files end.
 */
import { cpSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { loadConfig } from '#src/config/load-config.js'
import { withSharedMemory } from '#src/engine/pglite/shared-memory.js'
import { startServer } from '#src/server.js'
import { watchFiles } from './file-watch.js'
import { makeScratchFolder } from './scratch-folder.js'

declare module 'vitest' {
  interface ProvidedContext {
    readonly dataTemplate: string
  }
}

export default async function setup(project: TestProject): Promise<(() => void) | undefined> {
  if (!project.isRootProject()) return undefined
  const folder = makeScratchFolder('kalam-template-')
  const made = join(folder, 'made')
  const loaded = loadConfig({
    env: { KALAMDB_LOG_LEVEL: 'error', KALAMDB_SERVER_PORT: '0', KALAMDB_SERVER_DATA_DIR: made },
  })
  const server = await startServer({ loaded, version: '0.0.0-test', home: folder })
  await server.close()
  const template = join(folder, 'template')
  cpSync(made, template, { recursive: true })
  project.provide('dataTemplate', template)
  const compiled = [compilePGlite()]
  const stopWatching = watchFiles(project.vitest)
  return () => {
    stopWatching()
    compiled.length = 0
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * V8 compiles a module's functions as they are used, and modules of the same bytes share them, in all
 * threads of a process, while one of them lives: with this one no test's engine compiles anew.
 */
function compilePGlite(): WebAssembly.Module {
  const wasmFile = createRequire(import.meta.url).resolve('@electric-sql/pglite/pglite.wasm')
  return new WebAssembly.Module(withSharedMemory(readFileSync(wasmFile)))
}
