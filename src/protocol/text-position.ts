/** Places in text: from bytes and characters to UTF-16 indices and back, and to lines and columns. */

/** A place as errors name it; all from 1, in characters (code points). */
export interface TextPosition {
  readonly position: number
  readonly line: number
  readonly column: number
}

export const textStart: TextPosition = Object.freeze({ position: 1, line: 1, column: 1 })

/** The position of a UTF-16 index. Linear: for many places in one text use `positionAfter`. */
export function positionAt(text: string, index: number): TextPosition {
  return positionAfter(textStart, text, 0, Math.min(index, text.length))
}

/** Where one stands after reading `text` from index `start` to `end`. */
export function positionAfter(
  from: TextPosition,
  text: string,
  start: number,
  end: number,
): TextPosition {
  let { position, line, column } = from
  for (let index = start; index < end; index++) {
    if (isSecondHalf(text, index)) continue
    position++
    column++
    if (text.charCodeAt(index) !== lineFeed) continue
    line++
    column = 1
  }
  return { position, line, column }
}

/** The UTF-16 index of the character with this number, from 0; the text's length if it is shorter. */
export function indexOfCharacter(text: string, character: number): number {
  let index = 0
  for (let count = 0; count < character && index < text.length; count++) {
    index += isSecondHalf(text, index + 1) ? 2 : 1
  }
  return index
}

/** The UTF-16 index at which the text's UTF-8 form has this byte offset. */
export function indexOfByte(text: string, byte: number): number {
  let index = 0
  for (let bytes = 0; bytes < byte && index < text.length; index++) {
    bytes += utf8Length(text.charCodeAt(index))
  }
  return isSecondHalf(text, index) ? index + 1 : index
}

const lineFeed = 10

/** Bytes of a UTF-16 unit in UTF-8; the halves of a pair take two each. */
function utf8Length(unit: number): number {
  if (unit < 0x80) return 1
  if (unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff)) return 2
  return 3
}

/** The low half of a surrogate pair is no character of its own. */
function isSecondHalf(text: string, index: number): boolean {
  const unit = text.charCodeAt(index)
  if (!(unit >= 0xdc00 && unit <= 0xdfff) || index === 0) return false
  const before = text.charCodeAt(index - 1)
  return before >= 0xd800 && before <= 0xdbff
}
