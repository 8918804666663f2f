/** What the host gives: a block that fits. A frame whose rows are kept stays as long as they do. */
import { allocate, release } from './memory'

@unmanaged
export class Frame {
  /** Rows that stand in it, and one more while it is read. */
  rows: u32
  // The bytes follow, and one to spare.
}

/** Its first byte; 0: nothing was given since a frame was kept. */
export let input: usize = 0

/** Room for what the host gives next. */
export function makeInput(length: u32): usize {
  if (input != 0) release(input - offsetof<Frame>())
  input = allocate(length + <u32>offsetof<Frame>() + 1) + offsetof<Frame>()
  return input
}

/** Keeps what was given last, until `leaveFrame` was called for it and each of its rows. */
export function enterFrame(): Frame {
  const frame = changetype<Frame>(input - offsetof<Frame>())
  frame.rows = 1
  input = 0
  return frame
}

export function leaveFrame(frame: Frame): void {
  frame.rows -= 1
  if (frame.rows == 0) release(changetype<usize>(frame))
}
