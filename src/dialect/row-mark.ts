import type { Node } from 'libpg-query'
import { fieldsOf, stringsOf, type Fields } from './syntax-tree.js'

/** One of the columns in which PostgreSQL itself keeps where a row stands, and who wrote it. */
export interface RowMark {
  readonly name: string
  /** Byte offset in the text; undefined where the tree has none. */
  readonly byte: number | undefined
}

const marks: ReadonlySet<string> = new Set(['ctid', 'xmin', 'xmax', 'cmin', 'cmax'])

/**
 * The mark that a part of a tree, which stands under `key`, asks for: `t.xmin`, `(t).xmin`, or
 * `xmin(t)`, which PostgreSQL takes for the same (parse_func.c, ParseFuncOrColumn).
 */
export function rowMarkOf(key: string, fields: object): RowMark | undefined {
  // The keys name the types.
  switch (key) {
    case 'ColumnRef': {
      const { fields: names, location } = fields as Fields<'ColumnRef'>
      return markIn([stringsOf(names).at(-1) ?? ''], location)
    }
    case 'A_Indirection': {
      const { arg, indirection } = fields as Fields<'A_Indirection'>
      return markIn(stringsOf(indirection), locationOf(arg))
    }
    case 'FuncCall': {
      const { funcname, location } = fields as Fields<'FuncCall'>
      const names = stringsOf(funcname)
      // With a schema it can only be a function.
      return names.length === 1 ? markIn(names, location) : undefined
    }
    default:
      return undefined
  }
}

function markIn(names: readonly string[], byte: number | undefined): RowMark | undefined {
  const name = names.find((each) => marks.has(each))
  return name === undefined ? undefined : { name, byte }
}

function locationOf(node: Node | undefined): number | undefined {
  return fieldsOf(node, 'ColumnRef')?.location
}
