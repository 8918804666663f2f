// Builds the package into dist: ESM and CommonJS with esbuild, declarations for both with tsc. By
// itself: of the repository around it, only a newer core is taken, where there is one.
import { createHash } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const require = createRequire(import.meta.url)
const folder = fileURLToPath(new URL('.', import.meta.url))
const wasm = 'kalam_core.wasm'
const usual = { platform: 'neutral', format: 'esm' }
const commonJs = { platform: 'neutral', format: 'cjs' }
/** For a Docker image: nobody compiles against it there, and what is left out needs no TypeScript. */
const isOnlyToRun = process.argv.includes('--only-to-run')

/** File in dist → entry, and what stands in for src/platform.ts. */
const bundles = {
  'index.js': { entry: 'index', ...usual },
  'index.cjs': { entry: 'index', ...commonJs },
  'node.js': { entry: 'index', ...usual, instead: 'platform-node' },
  'node.cjs': { entry: 'index', ...commonJs, instead: 'platform-node' },
  'workerd.js': { entry: 'index', ...usual, instead: 'platform-workerd' },
  ...Object.fromEntries(
    ['feed', 'vue', 'react', 'rx'].flatMap((entry) => [
      [`${entry}.js`, { entry, ...usual }],
      [`${entry}.cjs`, { entry, ...commonJs }],
    ]),
  ),
  // Pinia is ESM alone.
  'pinia.js': { entry: 'pinia', ...usual },
}

/** The core of the repository, if this stands in one; else the copy that came with the package. */
function takeCore() {
  const newest = join(folder, '../../core')
  const own = join(folder, 'core')
  if (existsSync(join(newest, wasm)))
    for (const name of [wasm, `${wasm}.sha256`]) copyFileSync(join(newest, name), join(own, name))
  const sum = createHash('sha256')
    .update(readFileSync(join(own, wasm)))
    .digest('hex')
  if (readFileSync(join(own, `${wasm}.sha256`), 'utf8') !== `${sum}  ${wasm}\n`)
    throw new Error(`core/${wasm} is not what core/${wasm}.sha256 says`)
}

function bundleInto(file, { entry, platform, format, instead }) {
  return build({
    entryPoints: [join(folder, 'src', `${entry}.ts`)],
    outfile: join(folder, 'dist', file),
    bundle: true,
    platform,
    format,
    target: 'es2022',
    minify: true,
    sourcemap: !isOnlyToRun,
    external: ['node:*', 'vue', 'pinia', 'react', 'rxjs', './kalam_core.wasm'],
    plugins: [packCore, ...(instead === undefined ? [] : [standIn(instead)])],
    logLevel: 'warning',
  })
}

/** Lets another module stand in for src/platform.ts, which it may itself use. */
function standIn(name) {
  return {
    name: 'stand-in',
    setup({ onResolve }) {
      onResolve({ filter: /^\.\/platform\.js$/ }, ({ importer }) =>
        importer.endsWith(`${name}.ts`) ? undefined : { path: join(folder, 'src', `${name}.ts`) },
      )
    },
  }
}

/** Printable, and none that needs an escape in any kind of quotes. */
const letters = String.fromCharCode(...Array.from({ length: 95 }, (_, at) => at + 32)).replaceAll(
  /["$'`\\]/g,
  '',
)

/** The core as text: a character for each byte that is smaller than the number of letters, two for others. */
const packCore = {
  name: 'pack-core',
  setup({ onLoad }) {
    onLoad({ filter: /\.wasm$/ }, ({ path }) => {
      const small = letters.length - 2
      // Any order of the bytes would do; in this one gzip makes the least of it.
      const text = Array.from(readFileSync(path), (plain) => {
        const byte = plain ^ 8
        const above = Math.floor(byte / small)
        return (above === 0 ? '' : letters[small + above - 1]) + letters[byte % small]
      }).join('')
      return { contents: `export const letters='${letters}',text='${text}'`, loader: 'js' }
    })
  },
}

/** One declaration file for each module, for ESM and again for CommonJS. */
function declare() {
  const tsc = require.resolve('typescript/bin/tsc')
  execFileSync(process.execPath, [tsc, '-p', folder], { stdio: 'inherit' })
  const dist = join(folder, 'dist')
  const names = readdirSync(dist, { recursive: true, encoding: 'utf8' })
  for (const name of names.filter((each) => each.endsWith('.d.ts') && each !== 'pinia.d.ts')) {
    const text = readFileSync(join(dist, name), 'utf8')
    const path = join(dist, name.replace(/\.d\.ts$/, '.d.cts'))
    writeFileSync(path, text.replaceAll(/(['"])(\.[^'"]*)\.js\1/g, '$1$2.cjs$1'))
  }
}

takeCore()
rmSync(join(folder, 'dist'), { recursive: true, force: true })
mkdirSync(join(folder, 'dist'))
copyFileSync(join(folder, 'core', wasm), join(folder, 'dist', wasm))
await Promise.all(Object.entries(bundles).map(([file, bundle]) => bundleInto(file, bundle)))
if (!isOnlyToRun) declare()
