/** Cloudflare's workers compile nothing at run time: they import the compiled module. */
import core from './kalam_core.wasm'
import type { Platform } from './client.js'

export const platform: Platform = {
  core: () => core,
  WebSocket: () => globalThis.WebSocket,
}
