/** The core: packed into text by build.js for most places, compiled in Cloudflare's workers. */
declare module '*/kalam_core.wasm' {
  /** The characters that are used; the last two say that the byte of the next one is larger. */
  export const letters: string
  export const text: string
  const module: WebAssembly.Module
  export default module
}
