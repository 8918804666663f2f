/** A real engine on a copy of the template folder, for tests below SQL. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inject } from 'vitest'
import { loadConfig } from '#src/config/load-config.js'
import { firstError, dataRows } from '#src/engine/backend-messages.js'
import { systemIdentity, type Identity, type Unit } from '#src/engine/engine.js'
import { simpleQuery } from '#src/engine/frontend-messages.js'
import { openEngine } from '#src/engine/open-engine.js'
import type { PGliteEngine } from '#src/engine/pglite/pglite-engine.js'
import { createLog } from '#src/telemetry/log.js'
import { createMetrics } from '#src/telemetry/metrics.js'
import { makeScratchFolder } from './scratch-folder.js'

export interface TestEngineOptions {
  readonly settings?: Readonly<Record<string, number | string>>
  readonly folder?: string
  readonly diskModule?: string
}

export interface TestEngine extends AsyncDisposable {
  readonly engine: PGliteEngine
  readonly folder: string
}

/** A folder with a database in it, to be removed by the caller. */
export function copyOfTemplate(): string {
  return copyTemplateInto(makeScratchFolder('kalam-engine-'))
}

/** The same, never in memory: what is killed has been written to a real file system. */
export function copyOfTemplateOnDisk(): string {
  return copyTemplateInto(mkdtempSync(join(tmpdir(), 'kalam-engine-')))
}

function copyTemplateInto(home: string): string {
  const folder = join(home, 'data')
  cpSync(inject('dataTemplate'), folder, { recursive: true })
  return folder
}

export async function openTestEngine(options: TestEngineOptions = {}): Promise<TestEngine> {
  const folder = options.folder ?? copyOfTemplate()
  const settings: Readonly<Record<string, string | number>> = {
    'log.level': 'silent',
    ...options.settings,
    'server.data_dir': folder,
  }
  const flags = Object.entries(settings).map(([key, value]) => ({
    flag: '--set',
    key,
    value: String(value),
  }))
  const { config } = loadConfig({ env: {}, flags })
  const engine = await openEngine({
    config,
    log: createLog(config.log),
    metrics: createMetrics(),
    diskModule: options.diskModule,
  })
  return {
    engine,
    folder,
    async [Symbol.asyncDispose]() {
      await engine.close()
      if (options.folder === undefined) rmSync(join(folder, '..'), { recursive: true, force: true })
    },
  }
}

export interface UnitOptions {
  readonly identity?: Identity
  readonly timeoutMs?: number
  readonly waitMs?: number
  readonly replyBytesMax?: number
}

/** SQL as a unit of the simple protocol, as the system in `public` unless told otherwise. */
export function unit(sql: string, options: UnitOptions = {}): Unit {
  return {
    bytes: simpleQuery(sql),
    identity: systemIdentity,
    searchPath: 'public',
    timeoutMs: 30_000,
    waitMs: 10_000,
    replyBytesMax: 64 * 1024 * 1024,
    ...options,
  }
}

/** The rows of an answer; throws the error that is in it. */
export function rowsOf(reply: Uint8Array): (string | null)[][] {
  const error = firstError(reply)
  if (error !== undefined) throw error
  return dataRows(reply)
}

/** `I`, `T` or `E`: the status in the ReadyForQuery at the end. */
export function statusOf(reply: Uint8Array): string {
  return String.fromCharCode(reply[reply.length - 1] ?? 0)
}
