import { quoteIdentifier } from '../compose-text.js'
import type { TableShape } from '../table-shape.js'

/** The table's full name as a literal, from which PostgreSQL reads a regclass. */
export function quoteTable({ schema, name }: TableShape): string {
  const full = `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`
  return `'${full.replaceAll("'", "''")}'`
}
