/** The image that the Dockerfile makes, as people run it. G1–G6, SC4–SC6. */
import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ConfigRow } from '#src/config/describe-config.js'
import { Client } from 'pg'
import { beforeAll, describe, expect, inject, test } from 'vitest'
import { buildImage, docker, imageName, repository, runToEnd } from '../support/docker/image.js'
import { adminKey, otherValues, wrongValues } from '../support/docker/other-values.js'
import { startContainer, type ServerContainer } from '../support/docker/server-container.js'
import { startWriting } from '../support/docker/write-load.js'
import { freePort } from '../support/free-port.js'

const MB = 1_000_000
/** Upon the base image: Docker's own Node 20 has 200 MB, and both together are to have 260. */
const ownBytesMax = 60 * MB
const exits = { wrongSettings: 2, notStarted: 3, killed: 137 }

describe.runIf(inject('hasDocker')).concurrent('the image', () => {
  beforeAll(buildImage, 300_000)

  test('G1: has only what runs, and says how to run it', async () => {
    const [base, own] = [await inspect('node:20-bookworm-slim'), await inspect(imageName)]
    const ownBytes = own.Size - base.Size
    const inMB = (bytes: number) => `${(bytes / MB).toFixed(0)} MB`
    console.log(`docker: the image has ${inMB(own.Size)}, ${inMB(ownBytes)} of them upon its base`)
    expect(ownBytes).toBeLessThan(ownBytesMax)
    expect(own.Config).toMatchObject({
      User: '1000:1000',
      Volumes: { '/data': {} },
      ExposedPorts: { '2900/tcp': {}, '5433/tcp': {} },
      Healthcheck: { Test: ['CMD', 'node', '/app/docker/health.js'] },
    })
  })

  test('G1–G3, SC6: serves with its defaults, and keeps what it acknowledged', async () => {
    await using server = await startContainer()
    const key = await firstKey(server)
    await server.kalam(
      '-c',
      'CREATE NAMESPACE app; CREATE USER TABLE app.written (id int PRIMARY KEY)',
    )
    const tables = await server.exec('kalam-cli', '--format', 'csv', '-c', 'SHOW TABLES IN app')
    expect(tables.output).toContain('written')
    expect((await server.exec('id', '--user')).output).toContain('1000')
    const shown = await shownConfig(server)
    expect(Object.fromEntries(shown)).toMatchObject({
      ...{
        'server.host': '"0.0.0.0"',
        'server.port': '2900',
        'server.data_dir': '"/data/kalamdb"',
      },
      'log.level': '"info"',
    })
    expect((await server.sql(key, 'SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    expect(await server.sql('kal_wrong', 'SELECT 1')).toMatchObject({ status: 401 })
    expect(await server.sql(undefined, 'SELECT 1')).toMatchObject({ status: 401 })
    await staysThroughStopAndKill(server, key)
    await server.becomesHealthy()
  })

  test('G3, SC5: honours the variable of every setting', async () => {
    const values = otherValues()
    const textOf = new Map(values.map(({ key, text }) => [key, text]))
    const wirePort = Number(textOf.get('postgres_wire.port'))
    await using server = await startContainer({
      env: Object.fromEntries(values.map(({ variable, text }) => [variable, text])),
      files: certificate(textOf),
      ...{ port: Number(textOf.get('server.port')), wirePort, tls: true },
    })
    const shown = await server.configOverTls(adminKey)
    expect(shown).toEqual(
      values.map(({ key, variable, value }) => ({ key, value, origin: variable })),
    )
    expect((await server.exec('node', '/app/docker/health.js')).exitCode).toBe(0)

    const client = new Client({
      ...{ ...server.outside(wirePort), user: 'boss', password: adminKey, database: 'kalamdb' },
      ssl: { rejectUnauthorized: false },
    })
    await client.connect()
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    await client.end()
  })

  test('G3: a wrong value of any setting stops it, with the setting’s name', async () => {
    const values = wrongValues()
    const { exit, stderr } = await runToEnd(values)
    const variables = Object.keys(values)
    expect(variables.filter((variable) => !stderr.includes(variable))).toEqual([])
    expect(exit).toBe(exits.wrongSettings)
  })

  test('G3: a variable that is no setting stops it, with its name', async () => {
    const { exit, stderr } = await runToEnd({ KALAMDB_SERVER_PROT: '2901' })
    expect(stderr).toContain('KALAMDB_SERVER_PROT: there is no such setting')
    expect(exit).toBe(exits.wrongSettings)
  })

  test.each([
    {
      name: 'of another user',
      options: ['--user', '1234:1234'],
      folder: '/data/kalamdb',
      reason: '/data belongs to uid 1000, gid 1000 and has mode 755 (EACCES); uid 1234 needs',
    },
    {
      name: 'that is read-only',
      options: ['--read-only'],
      folder: '/home/node/kalamdb',
      reason: 'the file system of /home/node is read-only (EROFS)',
    },
  ])('G4: a folder $name stops it, with path and permission', async (place) => {
    const { options, folder, reason } = place
    const { exit, stderr } = await runToEnd({ KALAMDB_SERVER_DATA_DIR: folder }, options)
    expect(stderr).toContain(`the data folder ${folder} cannot be written: ${reason}`)
    expect(exit).toBe(exits.notStarted)
  })

  test.runIf(inject('hasCompose'))(
    'G2, SC4: README.md starts it with one command, and its volume outlives its containers',
    followReadme,
  )
})

interface InspectedImage {
  readonly Size: number
  readonly Config: Readonly<Record<string, unknown>>
}

async function inspect(name: string): Promise<InspectedImage> {
  const { stdout } = await docker(['image', 'inspect', name])
  // As Docker's API describes it; a test looks at each part.
  const [image] = JSON.parse(stdout) as readonly [InspectedImage]
  return image
}

async function shownConfig(server: ServerContainer): Promise<ReadonlyMap<string, string>> {
  const output = await server.kalam('--format', 'json', '-c', 'SHOW CONFIG')
  const [{ rows }] = JSON.parse(output) as readonly [{ readonly rows: readonly ConfigRow[] }]
  return new Map(rows.map(({ key, value }) => [key, value]))
}

/** Types what the server's first lines say. */
async function firstKey(server: ServerContainer): Promise<string> {
  const [, command = ''] = /first key: +docker (.*)$/m.exec(await server.greeting()) ?? []
  expect(command).toBe(`exec ${server.id} kalam user create NAME`)
  const { stdout } = await docker(command.replace('NAME', 'ada --format json').split(' '))
  const [{ apikey }] = JSON.parse(stdout) as readonly [{ readonly apikey: string }]
  return apikey
}

async function staysThroughStopAndKill(server: ServerContainer, key: string): Promise<void> {
  const acknowledged: number[] = []
  for (const end of [() => stopWell(server, key), () => server.kill()]) {
    const load = startWriting(server, key, acknowledged.length * 1_000)
    await load.reached(100)
    const exit = await end()
    await load.ended
    acknowledged.push(...load.acknowledged)
    console.log(`docker: ready ${(await server.start()).toFixed(0)} ms after it ended with ${exit}`)
    const { rows } = await server.sql(key, 'SELECT id FROM app.written')
    const kept = new Set(rows.map(({ id }) => id))
    expect(acknowledged.filter((id) => !kept.has(id))).toEqual([])
  }
}

/** A statement that would run for a minute does not keep it from ending before Docker kills it. */
async function stopWell(server: ServerContainer, key: string): Promise<number> {
  const slow = server.sql(key, 'SELECT pg_sleep(60)').catch(() => 'its connection was closed')
  const exit = await server.stop()
  expect(exit).toBe(0)
  await slow
  return exit
}

function certificate(textOf: ReadonlyMap<string, string>) {
  const folder = mkdtempSync(join(tmpdir(), 'kalam-docker-tls-'))
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  const subject = ['-subj', '/CN=localhost', '-days', '2', '-nodes', '-newkey', 'rsa:2048']
  execFileSync('openssl', ['req', '-x509', ...subject, '-keyout', key, '-out', cert], {
    stdio: 'ignore',
  })
  const [certContent, keyContent] = [readFileSync(cert, 'utf8'), readFileSync(key, 'utf8')]
  rmSync(folder, { recursive: true })
  return [
    { content: certContent, target: textOf.get('server.tls_cert') ?? '' },
    { content: keyContent, target: textOf.get('server.tls_key') ?? '' },
  ]
}

async function followReadme(): Promise<void> {
  const readme = readFileSync(join(repository, 'README.md'), 'utf8')
  const [, commands = ''] = /^## Docker\n[^]*?^```sh\n([^]*?)^```$/mu.exec(readme) ?? []
  const port = await freePort()
  const env = {
    ...process.env,
    COMPOSE_PROJECT_NAME: `kalamdb-test-${process.pid}`,
    KALAM_IMAGE: imageName,
    KALAM_PUBLISH: `127.0.0.1:${port}`,
  }
  const run = async (script: string) => {
    const here = script.replaceAll('127.0.0.1:2900', `127.0.0.1:${port}`)
    return await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', here], {
      cwd: repository,
      env,
    })
  }
  try {
    expect((await run(commands)).stdout).toContain('"rows":[{"id":1,"body":"buy milk"}]')
    expect((await run('docker compose port kalamdb 2900')).stdout).toBe(`127.0.0.1:${port}\n`)
    await run('docker compose down && docker compose up --detach --wait')
    const kalam = "docker compose exec -T kalamdb kalam --format csv -c 'SET row_security = off;"
    const { stdout } = await run(`${kalam} SELECT body FROM app.notes'`)
    expect(stdout).toContain('buy milk')
  } finally {
    await run('docker compose down --volumes')
  }
}
