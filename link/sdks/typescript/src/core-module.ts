import { errorOf, type KalamError } from './kalam-error.js'

/** What gives the module: compiled, its bytes, or how to come by them. */
export type CoreSource = WebAssembly.Module | BufferSource

/**
 * Compiles the core; a promise only where the main thread may not compile at once (Chrome before
 * 115). Throws KalamError: `WASM_UNSUPPORTED`, `WASM_BLOCKED`.
 */
export function compileCore(
  source: () => CoreSource,
): WebAssembly.Module | Promise<WebAssembly.Module> {
  // First: without WebAssembly its name alone is an error.
  if (typeof WebAssembly !== 'object')
    throw errorOf('WASM_UNSUPPORTED', 'there is no WebAssembly here, which kalam-link needs')
  const given = source()
  try {
    const module = given instanceof WebAssembly.Module ? given : new WebAssembly.Module(given)
    // WebKit compiles where a policy blocks, and refuses the instance.
    new WebAssembly.Instance(module, {})
    return module
  } catch (cause) {
    if (given instanceof WebAssembly.Module || !(cause instanceof RangeError)) throw blocked(cause)
    return WebAssembly.compile(given).catch((later: unknown) => {
      throw blocked(later)
    })
  }
}

function blocked(cause: unknown): KalamError {
  const message =
    "WebAssembly is blocked here: a Content-Security-Policy must allow 'wasm-unsafe-eval' as script-src"
  return errorOf('WASM_BLOCKED', message, { cause })
}
