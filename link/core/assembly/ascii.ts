/**
 * A text of the core's own, ASCII, with a zero byte behind it. The build puts the bytes in place of
 * each call (build.js): AssemblyScript's strings would take twice the room and a head each.
 */
export function ascii(text: string): usize {
  return changetype<usize>(text)
}
