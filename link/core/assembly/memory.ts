/**
 * Blocks of linear memory. Their sizes are four steps to each power of two, so that a block is at
 * most a quarter larger than what was asked for, and each size keeps a list of its free blocks.
 * A tenth of the code of AssemblyScript's own allocator; free blocks never become larger ones, so
 * memory stays at the most that each size has needed.
 */

/** In front of a block: its size, as a place in the table of lists. */
const headBytes: u32 = 4
const sizeMin: u32 = 16
/** More would not fit into 32 bits after rounding. */
const sizeMax: u32 = 0x40000000
/** Growing is a call into the engine: a mebibyte more than is needed. */
const pagesMore: i32 = 16

/** The first free block of each size: two bits below those of the power. */
const lists = memory.data(32 << 4)
let top: usize = __heap_base

/** Traps when there is no more memory. */
export function allocate(bytes: u32): usize {
  if (bytes > sizeMax) unreachable()
  const size = max(bytes + headBytes, sizeMin)
  const power = 31 - clz(size - 1)
  const step: u32 = 1 << (power - 2)
  const whole = (size + step - 1) & ~(step - 1)
  const list = lists + (((power << 2) | (((whole - 1) >> (power - 2)) & 3)) << 2)
  const free = load<usize>(list)
  if (free != 0) {
    store<usize>(list, load<usize>(free))
    return free
  }
  const block = top + headBytes
  top += whole
  const missing = <i32>(top - ((<usize>memory.size()) << 16))
  if (missing > 0 && memory.grow((missing >> 16) + pagesMore) < 0) unreachable()
  store<usize>(block - headBytes, list)
  return block
}

/** 0 is no block, and may be released. */
export function release(block: usize): void {
  if (block == 0) return
  const list = load<usize>(block - headBytes)
  store<usize>(block, load<usize>(list))
  store<usize>(list, block)
}

/** Bytes that a block has room for. */
export function roomOf(block: usize): u32 {
  const place = (<u32>(load<usize>(block - headBytes) - lists)) >> 2
  return ((5 + (place & 3)) << ((place >> 2) - 2)) - headBytes
}

/** A block of zeros. */
export function allocateEmpty(bytes: u32): usize {
  const block = allocate(bytes)
  memory.fill(block, 0, bytes)
  return block
}

/** The block, or a larger one with its bytes. */
export function grown(block: usize, bytes: u32): usize {
  if (block != 0 && roomOf(block) >= bytes) return block
  const larger = allocate(bytes)
  if (block != 0) memory.copy(larger, block, roomOf(block))
  release(block)
  return larger
}
