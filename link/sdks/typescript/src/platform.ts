/**
 * What differs from place to place; this is a browser, Deno, Bun, or a worker. The build puts
 * platform-node.ts or platform-workerd.ts in its place.
 */
import { letters, text } from '../core/kalam_core.wasm'
import type { Platform } from './client.js'

export const platform: Platform = {
  core: () => bytesOf(text),
  // It is not there everywhere, whatever its type says.
  WebSocket: () => globalThis.WebSocket,
}

/**
 * The build gives the module as text that needs no escapes: a byte is one character, or two where it
 * is large (ADR 0014 has the sizes). build.js has the other direction.
 */
function bytesOf(packed: string): Uint8Array<ArrayBuffer> {
  const bytes: number[] = []
  let above = 0
  for (const letter of packed) {
    const place = letters.indexOf(letter)
    if (place >= letters.length - 2) above = (place - letters.length + 3) * (letters.length - 2)
    else {
      bytes.push((place + above) ^ 8)
      above = 0
    }
  }
  return Uint8Array.from(bytes)
}
