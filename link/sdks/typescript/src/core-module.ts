import { KalamError } from './kalam-error.js'

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
    throw new KalamError({
      code: 'WASM_UNSUPPORTED',
      message:
        'kalam-link needs WebAssembly, and there is none here: use a browser of 2018 or later',
    })
  const given = source()
  if (given instanceof WebAssembly.Module) return given
  try {
    return new WebAssembly.Module(given)
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw blocked(cause)
    return WebAssembly.compile(given).catch((later: unknown) => {
      throw blocked(later)
    })
  }
}

function blocked(cause: unknown): KalamError {
  return new KalamError(
    {
      code: 'WASM_BLOCKED',
      message:
        "WebAssembly is blocked here. Allow it with 'wasm-unsafe-eval' in script-src of the page's " +
        'Content-Security-Policy; in a worker that compiles nothing, give createClient the compiled ' +
        '`core` (kalam-link/core.wasm)',
    },
    { cause },
  )
}
