/** One server per folder, and folders that cannot be used. */
import { execFile, spawn } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { mkdtempSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { copyOfTemplate, openTestEngine, rowsOf, unit } from '../../support/engine.js'

let folder: string
beforeEach(() => {
  folder = copyOfTemplate()
})
afterEach(() => rmSync(join(folder, '..'), { recursive: true, force: true }))

const inUse = { code: 'DATA_FOLDER', message: expect.stringContaining('in use') as string }

describe('K2: a data folder', () => {
  test('in use is refused to a second server, which changes nothing', async () => {
    await using first = await openTestEngine({ folder })
    await first.engine.run(unit('CREATE TABLE t (n int); INSERT INTO t VALUES (1)'))
    await expect(openTestEngine({ folder })).rejects.toMatchObject(inUse)
    expect(rowsOf(await first.engine.run(unit('SELECT * FROM t')))).toEqual([['1']])
  })

  test('opens for exactly one of many that try at once', async () => {
    const tries = await Promise.allSettled(
      Array.from({ length: 6 }, () => openTestEngine({ folder })),
    )
    const winners = tries.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    expect(winners).toHaveLength(1)
    for (const winner of winners) await winner[Symbol.asyncDispose]()
  })

  test('is free again when its server was killed, also if the pid is used again', async () => {
    const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
    await new Promise((resolve) => other.once('spawn', resolve))
    const owner = {
      id: 'dead',
      pid: other.pid,
      startedAt: '1',
      host: `${hostname()} ${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}`,
      pidNamespace: (await import('node:fs')).readlinkSync('/proc/self/ns/pid'),
    }
    writeFileSync(join(folder, 'kalam.lock'), JSON.stringify(owner))
    const engine = await openTestEngine({ folder })
    await engine[Symbol.asyncDispose]()
    other.kill()
  })

  test('whose owner lives in another container is refused while its heart beats', async () => {
    const deserted = copyOfTemplate()
    const owner = {
      id: 'other',
      pid: 1,
      startedAt: '1',
      host: 'elsewhere',
      pidNamespace: 'pid:[1]',
    }
    const lockOf = (of: string) => join(of, 'kalam.lock')
    for (const each of [folder, deserted]) writeFileSync(lockOf(each), JSON.stringify(owner))
    const heart = setInterval(() => utimesSync(lockOf(folder), new Date(), new Date()), 200)
    const free = openTestEngine({ folder: deserted })
    await expect(openTestEngine({ folder })).rejects.toMatchObject(inUse)
    clearInterval(heart)
    await (await free)[Symbol.asyncDispose]()
    rmSync(join(deserted, '..'), { recursive: true, force: true })
  })

  test('taken by another is acknowledged nothing in, from that moment on', async () => {
    await using opened = await openTestEngine({ folder })
    await opened.engine.run(unit('CREATE TABLE t (n int)'))
    const lock = join(folder, 'kalam.lock')
    const owner = { id: 'other', pid: 1, startedAt: '1', host: 'elsewhere', pidNamespace: '' }
    // As another server does that takes this one for dead.
    renameSync(lock, `${lock}.stale`)
    rmSync(`${lock}.stale`)
    writeFileSync(lock, JSON.stringify(owner))
    await expect(opened.engine.run(unit('INSERT INTO t VALUES (1)'))).rejects.toMatchObject({
      code: expect.stringMatching(/^(ENGINE_RESTARTED|UNAVAILABLE)$/) as string,
    })
    await expect.poll(() => opened.engine.status.kind, { timeout: 20_000 }).toBe('failed')
    await expect(opened.engine.run(unit('SELECT 1'))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(JSON.parse(readFileSync(lock, 'utf8'))).toEqual(owner)
  })

  test('stays its owner’s when the process has no file descriptor left', async () => {
    const script = fileURLToPath(
      new URL('../../support/lock-without-descriptors.mjs', import.meta.url),
    )
    const module = fileURLToPath(import.meta.resolve('#src/engine/pglite/folder-lock.js'))
    const command = `ulimit -n 64; exec "${process.execPath}" "${script}" "${module}" "${folder}"`
    const { stdout } = await promisify(execFile)('bash', ['-c', command], { timeout: 30_000 })
    expect(stdout).toBe('kept\n')
  })

  test('is rid of what a server left that was killed, in the middle of its start too', async () => {
    const temporary = join(folder, 'pgdata', 'base', 'pgsql_tmp')
    mkdirSync(temporary, { recursive: true })
    writeFileSync(join(temporary, 'pgsql_tmp42.0'), 'rows of a stream nobody reads')
    writeFileSync(join(folder, 'pgdata', 'postmaster.pid'), '')
    await using opened = await openTestEngine({ folder })
    expect(opened.engine.status.kind).toBe('ready')
    expect(existsSync(temporary)).toBe(false)
  })

  test('is left without a lock after a clean end', async () => {
    const engine = await openTestEngine({ folder })
    await engine[Symbol.asyncDispose]()
    expect(readdirSync(folder)).not.toContain('kalam.lock')
  })

  test('made by another PostgreSQL is refused, with what to do', async () => {
    writeFileSync(join(folder, 'pgdata', 'PG_VERSION'), '17\n')
    await expect(openTestEngine({ folder })).rejects.toMatchObject({
      code: 'DATA_FOLDER',
      message: expect.stringContaining('PostgreSQL 17') as string,
    })
  })

  test('half made by a first start that was killed is made anew', async () => {
    const fresh = mkdtempSync(join(tmpdir(), 'kalam-half-'))
    mkdirSync(join(fresh, 'pgdata.new-1', 'base'), { recursive: true })
    const engine = await openTestEngine({ folder: fresh })
    expect(existsSync(join(fresh, 'pgdata.new-1'))).toBe(false)
    expect(rowsOf(await engine.engine.run(unit('SELECT 1')))).toEqual([['1']])
    await engine[Symbol.asyncDispose]()
    rmSync(fresh, { recursive: true, force: true })
  })

  test.skipIf(process.getuid?.() === 0)(
    'that cannot be written is named, with the permission',
    async () => {
      chmodSync(folder, 0o500)
      await expect(openTestEngine({ folder })).rejects.toMatchObject({
        code: 'DATA_FOLDER',
        message: expect.stringMatching(/EACCES.*write/) as string,
      })
      chmodSync(folder, 0o700)
    },
  )

  test('below a file is named', async () => {
    writeFileSync(join(folder, 'file'), '')
    await expect(openTestEngine({ folder: join(folder, 'file', 'data') })).rejects.toMatchObject({
      code: 'DATA_FOLDER',
      message: expect.stringContaining(join(folder, 'file', 'data')) as string,
    })
  })
})
