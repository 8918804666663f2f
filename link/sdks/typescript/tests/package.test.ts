/** E1, E7: the package as it is published, in a folder of its own. */
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const require = createRequire(import.meta.url)
const folder = fileURLToPath(new URL('..', import.meta.url))
/** Of the whole SDK, with the core inside. */
const gzipBytesMax = 15 * 1024
/** The compiler takes seconds, and on a busy machine many. */
const compilerMsMax = 180_000
const subPaths = ['feed', 'vue', 'pinia', 'react', 'rx']

let place = ''
let tarball = ''

beforeAll(() => {
  place = mkdtempSync(join(tmpdir(), 'kalam-link-package-'))
  // What is published is what the build made: prepack would only make it again.
  const told = run(
    'npm',
    ['pack', '--json', '--ignore-scripts', '--pack-destination', place],
    folder,
  )
  const [{ filename }] = JSON.parse(told) as [{ filename: string }]
  tarball = join(place, filename)
  run('tar', ['xzf', tarball, '-C', place], place)
  const modules = join(place, 'node_modules')
  mkdirSync(modules)
  cpSync(join(place, 'package'), join(modules, 'kalam-link'), { recursive: true })
  // Its peers, as somebody has installed them who uses all.
  for (const name of ['vue', 'pinia', 'react', 'rxjs', '@types'])
    symlinkSync(
      join(packageFolder(name === '@types' ? '@types/react' : name), name === '@types' ? '..' : ''),
      join(modules, name),
    )
  writeFileSync(join(place, 'package.json'), '{ "type": "module" }')
})
afterAll(() => rmSync(place, { recursive: true, force: true }))

/** Of a package that has a package.json to be found. */
function packageFolder(name: string): string {
  return dirname(require.resolve(`${name}/package.json`))
}

/** What it prints; an error has that too. */
function run(command: string, args: readonly string[], cwd = place): string {
  const { status, stdout, stderr } = spawnSync(command, [...args], { cwd, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}\n${stdout}${stderr}`)
  return stdout
}

/** Runs what a user wrote; it says what it found. */
function node(file: string, source: string): string {
  writeFileSync(join(place, file), source)
  return run(process.execPath, [file]).trim()
}

const use = `
  try { createClient({ url: 'http://127.0.0.1:1' }) } catch (error) { console.log(error.code) }
  const client = createClient({ url: 'http://127.0.0.1:1', apiKey: 'kal_' + 'A'.repeat(43), autoConnect: false })
  console.log(client.connection.state.status)
  client.close()`
const used = 'CONFIG_API_KEY_MISSING\nidle'

test(`all of it has at most ${gzipBytesMax} bytes, gzipped`, () => {
  const index = readFileSync(join(folder, 'dist/index.js'))
  expect(gzipSync(index, { level: 9 }).length).toBeLessThanOrEqual(gzipBytesMax)
})

test('it depends on nothing', () => {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as object
  expect(manifest).not.toHaveProperty('dependencies')
})

describe('where it runs', () => {
  test('import', () => {
    expect(node('esm.mjs', `import { createClient } from 'kalam-link'\n${use}`)).toBe(used)
  })

  test('require', () => {
    const source = `const { createClient } = require('kalam-link')\n${use}`
    expect(node('cjs.cjs', source)).toBe(used)
  })

  test.each(subPaths)('import and require of %s', (name) => {
    const path = `kalam-link/${name}`
    const esm = node(`${name}.mjs`, `import * as all from '${path}'\nconsole.log(Object.keys(all))`)
    const cjs = node(`${name}.cjs`, `console.log(Object.keys(require('${path}')))`)
    expect(esm).toBe(cjs)
    expect(esm).not.toBe('[]')
  })

  test('the core as a file, for other hosts and places', () => {
    const source = `
      import { readFileSync } from 'node:fs'
      import { createClient } from 'kalam-link'
      const core = readFileSync(new URL(import.meta.resolve('kalam-link/core.wasm')))
      const options = { url: 'http://127.0.0.1:1', apiKey: 'kal_' + 'A'.repeat(43), autoConnect: false }
      createClient({ ...options, core }).close()
      createClient({ ...options, core: new WebAssembly.Module(core) }).close()
      console.log('ok')`
    expect(node('core.mjs', source)).toBe('ok')
  })

  test('esbuild for a browser: one file, nothing of Node', async () => {
    const { build } = await import('esbuild')
    writeFileSync(join(place, 'app.js'), `import { createClient } from 'kalam-link'\n${use}`)
    const { outputFiles } = await build({
      ...{ entryPoints: [join(place, 'app.js')], bundle: true, write: false, format: 'iife' },
      ...{ platform: 'browser', logLevel: 'silent' },
    })
    const text = outputFiles[0]?.text ?? ''
    expect(text).not.toMatch(/node:|require\(/)
    // A browser has one.
    expect(node('bundled.cjs', `globalThis.WebSocket = class {};\n${text}`)).toBe(used)
  })

  test('vite build: nothing to configure, no file beside the script', async () => {
    const { build } = await import('vite')
    writeFileSync(join(place, 'index.html'), '<script type="module" src="/app.js"></script>')
    const built = await build({ root: place, logLevel: 'silent', build: { write: false } })
    const [{ output } = { output: [] }] = [built].flat() as { output: { fileName: string }[] }[]
    const names = output.map(({ fileName }) => fileName.replace(/-[^.]+/u, ''))
    expect(names.sort()).toEqual(['assets/index.js', 'index.html'])
  })

  test('workerd takes the compiled core', () => {
    const text = readFileSync(join(folder, 'dist/workerd.js'), 'utf8')
    expect(text).toMatch(/import \w+ from ?"\.\/kalam_core\.wasm"/)
    const index = readFileSync(join(folder, 'dist/index.js'))
    expect(text.length).toBeLessThan(index.length)
  })
})

describe('types', () => {
  const source = `
    import { createClient, KalamError, type LiveQuery, type RowOf } from 'kalam-link'
    import { openFeed } from 'kalam-link/feed'
    import { useLive } from 'kalam-link/vue'
    import { defineLiveStore } from 'kalam-link/pinia'
    import { useLive as useReactLive } from 'kalam-link/react'
    import { liveRows } from 'kalam-link/rx'
    interface Schema {
      'app.todos': { row: { id: number; title: string }; insert: { id?: number; title: string } }
    }
    const client = createClient<Schema>({ url: 'http://x', apiKey: 'k' })
    const todos = client.table('app.todos')
    type Todo = RowOf<Schema, 'app.todos'>
    const live: LiveQuery<Todo> = todos.live({ id: 1 })
    const titles: string[] = live.rows.map(({ title }) => title)
    live.subscribe((rows) => titles.push(...rows.map(({ title }) => title)))
    export const loop = async () => {
      for await (const rows of live) titles.push(...rows.map(({ title }) => title))
    }
    const made: Promise<Todo> = todos.insert({ title: 'x' }, { optimistic: live })
    void todos.update({ id: 1 }, { title: 'x' })
    // @ts-expect-error: title is missing
    void todos.insert({ id: 1 })
    // @ts-expect-error: there is no such column
    void todos.update({ id: 1 }, { nope: 1 })
    // @ts-expect-error: there is no such table
    client.table('app.nope')
    // @ts-expect-error: an id is a number
    todos.live({ id: 'x' })
    const loose = createClient({ url: new URL('http://x'), apiKey: () => 'k' })
    const any: Promise<Record<string, unknown>> = loose.table('whatever').insert({ a: 1 })
    openFeed(client, 'SELECT 1', {}, (event) => event.kind === 'rows' && event.rows.length)
    const useTodos = defineLiveStore('todos', (kalam: typeof client) => kalam.table('app.todos').live())
    const refs = () => useLive((kalam: typeof client) => kalam.table('app.todos').live())
    const state = () => useReactLive((kalam: typeof client) => kalam.table('app.todos').live(), [])
    const sum = liveRows(() => live).subscribe((rows) => rows[0]?.title.length)
    export { any, KalamError, made, refs, state, sum, titles, useTodos }
    export const first: string | undefined = refs().rows.value[0]?.title ?? state().rows[0]?.title
    {
      using other = createClient<Schema>({ url: 'http://x', apiKey: 'k' })
      other.close()
    }`

  test.each([
    ['node16', 'node16', ['use.mts', 'use.cts']],
    ['bundler', 'esnext', ['use.ts']],
  ])(
    'moduleResolution %s, %s: %j',
    (moduleResolution, module, files) => {
      // Pinia is ESM alone.
      const none = 'declare const defineLiveStore: (...all: unknown[]) => unknown'
      for (const file of files) {
        const text = source.replace(/import .*pinia'/u, file === 'use.cts' ? none : '$&')
        writeFileSync(join(place, file), text)
      }
      const options = ['--noEmit', '--strict', '--target', 'es2022', '--exactOptionalPropertyTypes']
      const lib = ['--lib', 'es2023,dom,dom.iterable,esnext.disposable']
      const tsc = require.resolve('typescript/bin/tsc')
      const args = [...options, ...lib, '--module', module, '--moduleResolution', moduleResolution]
      expect(run(process.execPath, [tsc, ...args, ...files])).toBe('')
    },
    compilerMsMax,
  )

  test('publint and @arethetypeswrong have nothing to say', async () => {
    const { publint } = await import('publint')
    const { formatMessage } = await import('publint/utils')
    const { messages, pkg } = await publint({ pkgDir: join(place, 'package'), pack: false })
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([])
    const attw = require
      .resolve('@arethetypeswrong/cli/package.json')
      .replace('package.json', 'dist/index.js')
    const args = [
      tarball,
      '--profile',
      'node16',
      '--format',
      'json',
      '--exclude-entrypoints',
      './core.wasm',
      // Pinia is ESM alone.
      './pinia',
    ]
    const report = JSON.parse(run(process.execPath, [attw, ...args])) as { problems?: Problems }
    const problems = Object.values(report.problems ?? {}).flat()
    // TypeScript's oldest way to look for modules knows of no `exports`.
    expect(problems.filter(({ resolutionKind }) => resolutionKind !== 'node10')).toEqual([])
  })
})

type Problems = Readonly<Record<string, readonly Problem[]>>

interface Problem {
  readonly resolutionKind?: string
}
