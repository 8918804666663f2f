/**
 * Finds elements of JSON lists without making values of them. It looks for ends and does not
 * check: text that is not JSON gives elements that are not, and never more than there is.
 */

const quote: u8 = 0x22
const backslash: u8 = 0x5c
const comma: u8 = 0x2c
const bracket: u8 = 0x5b

/** The element that `nextElement` found, with the spaces around it. */
export let elementStart: usize = 0
export let elementLength: u32 = 0

/** Whether the text is one list, as far as can be told from its ends. */
export function isList(start: usize, length: u32): bool {
  return length >= 2 && load<u8>(start) == bracket && load<u8>(start + length - 1) == 0x5d
}

/**
 * Finds the element after the bracket or comma at `at`, and gives the place of what follows it;
 * 0 if there is none. `end` is after the list's last bracket.
 */
export function nextElement(at: usize, end: usize): usize {
  if (at + 2 >= end) return 0
  let depth: u32 = 0
  let to = at + 1
  for (; to < end - 1; to++) {
    const byte = load<u8>(to)
    if (byte == comma && depth == 0) break
    if (byte == quote) to = stringEnd(to, end)
    // Braces are brackets with one more bit.
    else if ((byte & 0xdf) == bracket) depth += 1
    else if ((byte & 0xdf) == 0x5d) depth -= 1
  }
  to = min(to, end - 1)
  elementStart = at + 1
  elementLength = <u32>(to - elementStart)
  return to
}

/** Where a string's closing quote is. */
function stringEnd(start: usize, end: usize): usize {
  let at = start + 1
  for (; at < end && load<u8>(at) != quote; at++) if (load<u8>(at) == backslash) at += 1
  return at
}
