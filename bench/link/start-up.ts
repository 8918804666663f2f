/** Prints how long the module takes to compile and an instance to make, in a new process. */
import { readFileSync } from 'node:fs'

export interface StartUp {
  readonly compileMs: number
  readonly instanceMs: number
}

const bytes = readFileSync(new URL('../../../link/core/kalam_core.wasm', import.meta.url))
const start = performance.now()
const module = new WebAssembly.Module(bytes)
const compiled = performance.now()
new WebAssembly.Instance(module, {})
process.stdout.write(
  JSON.stringify({
    compileMs: compiled - start,
    instanceMs: performance.now() - compiled,
  } satisfies StartUp),
)
