/**
 * The core's own texts: ASCII, each with a zero byte behind it, all in one place. AssemblyScript's
 * strings would take twice the room and a head each. The build (build.js) fills `pool`, and writes
 * `(pool + offset)` for each call of `ascii`.
 */
export const pool: usize = memory.data<u8>([0])

/** For asc's eyes only. */
export function ascii(text: string): usize {
  return pool + text.length
}
