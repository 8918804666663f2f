// Compiles assembly to kalam_core.wasm and writes its SHA-256 beside it. With --check: says only
// whether the two that are there are what would be written.
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import asc from 'assemblyscript/asc'

const folder = fileURLToPath(new URL('.', import.meta.url))
const wasmPath = join(folder, 'kalam_core.wasm')
const sumPath = `${wasmPath}.sha256`

/** The module, compiled from what is there now. */
export async function compileCore() {
  const scratch = mkdtempSync(join(tmpdir(), 'kalam-core-'))
  try {
    const outFile = join(scratch, 'core.wasm')
    const args = ['assembly/index.ts', '--config', 'asconfig.json', '--outFile', outFile]
    const { error, stderr } = await asc.main([...args, '--baseDir', folder], { readFile })
    if (error !== null) throw new Error(`link/core does not compile:\n${stderr.toString()}`)
    return readFileSync(outFile)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** A source, with the bytes of `ascii('…')` in their places. */
function readFile(name, baseDir) {
  try {
    const source = readFileSync(join(baseDir, name), 'utf8')
    return name.startsWith('assembly/')
      ? source.replace(/\bascii\(\s*'((?:[^'\\]|\\.)*)',?\s*\)/g, bytesOf)
      : source
  } catch {
    // asc looks for a module under several names.
    return null
  }
}

function bytesOf(_call, text) {
  const bytes = Buffer.from(text.replaceAll('\\\\', '\\'), 'latin1')
  return `memory.data<u8>([${[...bytes, 0].join(', ')}])`
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
