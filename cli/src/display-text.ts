/**
 * Text for a terminal. What comes out of a database may hold escape sequences that move the
 * cursor, retitle the window or hide what stands there; none of it may reach the terminal as it is.
 */
import stringWidth from 'string-width'

/** Columns between tab stops, as terminals and psql have them. */
const tabWidth = 8

/**
 * C0 and C1 controls, DEL, line and paragraph separators, marks that reorder text (they can make
 * a value read as something else), and lone surrogates. Tab and line feed are laid out by callers.
 */
const unprintable =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|\p{Surrogate}/gu

/** Everything a fixed-width font shows in one column each. */
const plainAscii = /^[\x20-\x7e]*$/

/** The lines of a value, safe to print: controls as `\x1b`, tabs as spaces. */
export function displayLines(text: string): string[] {
  if (plainAscii.test(text)) return [text]
  return text
    .replaceAll('\r\n', '\n')
    .split('\n')
    .map((line) => expandTabs(line.replace(unprintable, escaped)))
}

/** One line, safe to print: line feeds and tabs are escaped as well. */
export function displayLine(text: string): string {
  if (plainAscii.test(text)) return text
  return text.replaceAll('\n', '\\n').replaceAll('\t', '\\t').replace(unprintable, escaped)
}

/** Columns that `text` takes in a terminal; wide characters take two, combining ones none. */
export function displayWidth(text: string): number {
  return plainAscii.test(text) ? text.length : stringWidth(text, { ambiguousIsNarrow: true })
}

function escaped(char: string): string {
  if (char === '\r') return '\\r'
  const code = char.charCodeAt(0)
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`
}

function expandTabs(line: string): string {
  if (!line.includes('\t')) return line
  let laidOut = ''
  for (const part of line.split(/(\t)/)) {
    laidOut += part === '\t' ? ' '.repeat(tabWidth - (displayWidth(laidOut) % tabWidth)) : part
  }
  return laidOut
}
