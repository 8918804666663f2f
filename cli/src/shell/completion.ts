/** What Tab offers: meta commands, keywords, and the names that fit where the cursor is. */
import type { CatalogNames } from './catalog.js'
import { metaNames } from './meta-commands.js'
import { outputFormats } from '../output-format.js'

/** The candidates and the part of the line that they complete, as readline wants them. */
export function completeLine(line: string, names: CatalogNames): [string[], string] {
  if (line.startsWith('\\') && !/\s/.test(line)) return [startingWith(metaNames(), line), line]
  const word = /[\w."\u0080-\uffff]*$/.exec(line)?.[0] ?? ''
  return [candidates(line, word, names), word]
}

function candidates(line: string, word: string, names: CatalogNames): string[] {
  if (/^\\format\s/.test(line)) return startingWith(outputFormats, word)
  if (word.includes('.')) return startingWith(qualifiedNames(word, names), word)
  const known = [
    ...names.namespaces.map((name) => `${quoted(name)}.`),
    ...names.tables.map(({ name }) => quoted(name)),
    ...columnsNear(line, names),
  ]
  const words = line.startsWith('\\') || word === '' ? [] : keywordsLike(word)
  return startingWith([...words, ...known], word)
}

/** After `app.`: its tables; after `app.todos.` or `todos.`: columns. */
function qualifiedNames(word: string, { tables, columns }: CatalogNames): string[] {
  return [
    ...tables.map(({ namespace, name }) => `${quoted(namespace)}.${quoted(name)}`),
    ...columns.map(({ table, name }) => `${quoted(table)}.${quoted(name)}`),
    ...columns.map(
      ({ namespace, table, name }) => `${quoted(namespace)}.${quoted(table)}.${quoted(name)}`,
    ),
  ].filter((name) => dots(name) === dots(word))
}

/** Columns of the tables that the line names; all columns would be noise. */
function columnsNear(line: string, { columns }: CatalogNames): string[] {
  const words = new Set(line.toLowerCase().match(/[\w\u0080-\uffff]+/g) ?? [])
  return columns.filter(({ table }) => words.has(table)).map(({ name }) => quoted(name))
}

function startingWith(names: readonly string[], word: string): string[] {
  const lower = word.toLowerCase()
  const fitting = names.filter((name) => name.toLowerCase().startsWith(lower))
  return [...new Set(fitting)].sort()
}

function dots(name: string): number {
  return name.split('.').length
}

/** A name as it must be written in SQL. */
function quoted(name: string): string {
  return /^[a-z_][a-z0-9_$]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`
}

/** In the case that the person types in. */
function keywordsLike(word: string): string[] {
  const isUpper = word !== '' && word === word.toUpperCase()
  return isUpper ? keywords : keywords.map((keyword) => keyword.toLowerCase())
}

const keywords = `ALTER AND APIKEY AS ASC BEGIN BETWEEN BY CASCADE CASE CHECK COLUMN COMMENT COMMIT
CONSTRAINT CREATE CROSS DEFAULT DELETE DESC DESCRIBE DISTINCT DROP ELSE END EXCEPT EXECUTE EXISTS
EXPLAIN EXTENSION FALSE FOREIGN FROM FULL FUNCTION GRANT GROUP HAVING ILIKE IN INDEX INNER INSERT
INTERSECT INTERVAL INTO IS JOIN KEY LATERAL LEFT LIKE LIMIT MERGE NAMESPACE NAMESPACES NOT NULL
OFFSET ON OR ORDER OVER PARTITION POLICY PRIMARY REFERENCES RETURNING REVOKE RIGHT ROLE ROLLBACK
ROTATE SAVEPOINT SELECT SERVICE SET SHOW SUBSCRIBE TABLE TABLES THEN TO TRIGGER TRUE TRUNCATE UNION UNIQUE
UPDATE USER USERS USING VALUES VIEW WHEN WHERE WITH`.split(/\s+/)
