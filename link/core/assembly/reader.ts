/**
 * Reads a frame within its bounds. After the first thing that is not there the frame is broken, and
 * all that is read from it is zero and empty.
 */

let at: usize = 0
let end: usize = 0
let broken: bool = false

/** The bytes that `block` read last. */
export let blockStart: usize = 0
export let blockLength: u32 = 0

export function read(pointer: usize, length: u32): void {
  at = pointer
  end = pointer + length
  broken = false
}

export function isBroken(): bool {
  return broken
}

export function breakFrame(): void {
  broken = true
  at = end
}

/** Where the next thing stands; `rewind` goes back to it. */
export function place(): usize {
  return at
}

export function rewind(to: usize): void {
  at = to
}

export function left(): u32 {
  return <u32>(end - at)
}

export function byte(): u32 {
  if (at >= end) {
    breakFrame()
    return 0
  }
  const value = load<u8>(at)
  at += 1
  return value
}

/** Seven bits a byte, the lowest first, up to 56. More than 32 are told as the most that 32 are. */
export function varint(): u32 {
  let value: u64 = 0
  for (let shift: u64 = 0; shift < 56; shift += 7) {
    const next = <u64>byte()
    value |= (next & 0x7f) << shift
    if (next < 0x80) return <u32>min<u64>(value, 0xffffffff)
  }
  breakFrame()
  return 0
}

export function id(): u32 {
  const value = varint()
  if (value == 0xffffffff) breakFrame()
  return broken ? 0 : value
}

/** How many things follow, each of them at least a byte. */
export function count(): u32 {
  const value = varint()
  if (value > left()) breakFrame()
  return broken ? 0 : value
}

export function block(): void {
  const length = varint()
  if (length > left()) breakFrame()
  blockStart = at
  blockLength = broken ? 0 : length
  at += blockLength
}
