// Compiles assembly to kalam_core.wasm and writes its SHA-256 beside it. With --check: says only
// whether the two that are there are what would be written.
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import asc from 'assemblyscript/asc'
import binaryen from 'assemblyscript/binaryen'

const folder = fileURLToPath(new URL('.', import.meta.url))
const wasmPath = join(folder, 'kalam_core.wasm')
const sumPath = `${wasmPath}.sha256`

/** The module, compiled from what is there now. */
export async function compileCore() {
  const scratch = mkdtempSync(join(tmpdir(), 'kalam-core-'))
  const sources = withTexts(readSources())
  const readFile = (name) => sources.get(name) ?? null
  try {
    const outFile = join(scratch, 'core.wasm')
    const args = ['assembly/index.ts', '--config', 'asconfig.json', '--outFile', outFile]
    const { error, stderr } = await asc.main([...args, '--baseDir', folder], { readFile })
    if (error !== null) throw new Error(`link/core does not compile:\n${stderr.toString()}`)
    return shrunk(readFileSync(outFile))
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

/**
 * asc's optimizer once more, as for size it is run by itself: asc puts more code in place of calls.
 * That is 1.5 % less.
 */
function shrunk(wasm) {
  const module = binaryen.readBinary(wasm)
  const { BulkMemory, BulkMemoryOpt, MutableGlobals, NontrappingFPToInt, SignExt } =
    binaryen.Features
  module.setFeatures(BulkMemory | BulkMemoryOpt | MutableGlobals | NontrappingFPToInt | SignExt)
  binaryen.setOptimizeLevel(2)
  binaryen.setShrinkLevel(2)
  binaryen.setLowMemoryUnused(true)
  binaryen.setAlwaysInlineMaxSize(4)
  binaryen.setFlexibleInlineMaxSize(20)
  binaryen.setOneCallerInlineMaxSize(-1)
  // A third time finds nothing.
  module.optimize()
  module.optimize()
  return Buffer.from(module.emitBinary())
}

/** What asc may read, by the names that it asks for. */
function readSources() {
  const names = readdirSync(join(folder, 'assembly'), { encoding: 'utf8' }).sort()
  const paths = ['asconfig.json', ...names.map((name) => `assembly/${name}`)]
  return new Map(paths.map((path) => [path, readFileSync(join(folder, path), 'utf8')]))
}

/** Texts of `ascii('…')` go into one pool, each once; assembly/ascii.ts says why. */
function withTexts(sources) {
  const offsets = new Map()
  const bytes = []
  const placeOf = (_call, written) => {
    const text = written.replaceAll('\\\\', '\\')
    if (!offsets.has(text)) {
      offsets.set(text, bytes.length)
      bytes.push(...Buffer.from(text, 'latin1'), 0)
    }
    return `(pool + ${offsets.get(text)})`
  }
  const placed = Array.from(sources, ([name, source]) => [
    name,
    source
      .replace(/(?<!function )\bascii\(\s*'((?:[^'\\]|\\.)*)',?\s*\)/g, placeOf)
      .replace('import { ascii }', 'import { pool }'),
  ])
  const files = new Map(placed)
  const pool = files.get('assembly/ascii.ts').replace('<u8>([0])', `<u8>([${bytes.join(', ')}])`)
  return files.set('assembly/ascii.ts', pool)
}

function sumOf(wasm) {
  return `${createHash('sha256').update(wasm).digest('hex')}  kalam_core.wasm\n`
}

async function main() {
  const wasm = await compileCore()
  if (!process.argv.includes('--check')) {
    writeFileSync(wasmPath, wasm)
    writeFileSync(sumPath, sumOf(wasm))
  } else if (
    !readFileSync(wasmPath).equals(wasm) ||
    readFileSync(sumPath, 'utf8') !== sumOf(wasm)
  ) {
    console.error('kalam_core.wasm is out of date: run node link/core/build.js')
    process.exitCode = 1
  }
  console.error(`${wasm.length} bytes`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
