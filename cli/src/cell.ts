import { elements, readString } from './json-source.js'

/** One value of a row as text, or nothing for NULL. Numbers, lists and JSON keep every digit. */
export type Cell = string | undefined

/** Takes a row in the shape `array` apart. */
export function cellsOf(row: string): Cell[] {
  return elements(row).map(cellOf)
}

function cellOf(source: string): Cell {
  if (source === 'null') return undefined
  return source.startsWith('"') ? readString(source) : source
}
