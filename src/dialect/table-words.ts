/**
 * KalamDB's words about tables, which PostgreSQL's grammar does not know. They are taken out of the
 * text, and what they said goes into the plan:
 *
 *   CREATE USER|SHARED|STREAM TABLE … [TTL '30 seconds']    → CREATE TABLE …
 *   FROM app.todos [AS t] INCLUDE DELETED [AS t]            → FROM app.todos AS t
 *   UNDELETE FROM app.todos …                               → DELETE FROM app.todos …
 *
 * Blanks take the place of what is taken out, so that indices stay.
 */
import type { Node, RangeVar } from 'libpg-query'
import type { Token } from '../protocol/sql-text.js'
import { indexOfByte } from '../protocol/text-position.js'
import type { ComposedText } from './compose-text.js'
import type { CreatedTable, Splice } from './plan.js'
import { errorAt, type Source } from './source.js'
import { fieldsOf, visitTree } from './syntax-tree.js'
import type { TokenReader } from './token-reader.js'
import { afterAlias, afterName, significantAt } from './rewrite/token-walk.js'

/** What stands before a statement's grammar is asked. */
export interface FoundWords {
  readonly splices: readonly Splice[]
  readonly creates: CreatedTable | undefined
  readonly undeletes: boolean
}

/** Reads the words a statement begins with, and TTL. Errors: SYNTAX_ERROR. */
export function readTableWords(reader: TokenReader): FoundWords {
  const undelete = reader.peek()
  if (undelete !== undefined && reader.skip('undelete')) {
    reader.expect('from')
    const splice = { start: undelete.start, end: undelete.end, text: 'delete  ' }
    return { splices: [splice], creates: undefined, undeletes: true }
  }
  const kind = createdKind(reader)
  const word = reader.peek(1)
  if (kind === undefined || word === undefined)
    return { splices: [], creates: undefined, undeletes: false }
  const ttl = kind === 'stream' ? readTtl(reader) : undefined
  return {
    splices: [word, ...(ttl?.tokens ?? [])].map(blank),
    creates: { kind, ttl: ttl?.value },
    undeletes: false,
  }
}

/** Whether the statement is CREATE USER|SHARED|STREAM TABLE, and not KalamDB's CREATE USER. */
export function createdKind(reader: TokenReader): CreatedTable['kind'] | undefined {
  const kinds = ['user', 'shared', 'stream'] as const
  return kinds.find((kind) => reader.isNext('create', kind, 'table'))
}

/** The last two tokens of CREATE STREAM TABLE. */
function readTtl(reader: TokenReader): {
  readonly tokens: readonly Token[]
  readonly value: NonNullable<CreatedTable['ttl']>
} {
  const tokens: Token[] = []
  for (let token = reader.take(); token !== undefined; token = reader.take()) tokens.push(token)
  const [word, literal] = tokens.slice(-2)
  const text = reader.textOf(literal)
  const isTtl = reader.textOf(word).toLowerCase() === 'ttl' && text.startsWith("'")
  if (word === undefined || literal === undefined || !isTtl) {
    throw reader.expected("TTL and a time span such as TTL '30 seconds'")
  }
  return { tokens: [word, literal], value: { literal: text, index: literal.start } }
}

function blank({ start, end }: Pick<Token, 'start' | 'end'>): Splice {
  return { start, end, text: ' '.repeat(end - start) }
}

/**
 * The places where INCLUDE DELETED may be meant: after a name or a list of names. Whether it is
 * meant tells the grammar, which does not take it there.
 */
export function findIncludeDeleted(reader: TokenReader): readonly Splice[] {
  const splices: Splice[] = []
  let before: Token | undefined
  for (let token = reader.rewind().peek(); token !== undefined; token = reader.peek()) {
    const second = reader.peek(1)
    if (reader.isNext('include', 'deleted') && second !== undefined && mayEnd(reader, before)) {
      splices.push(blank({ start: token.start, end: second.end }))
    }
    before = reader.take()
  }
  return splices
}

/** Whether a table reference may end in this token. */
function mayEnd(reader: TokenReader, token: Token | undefined): boolean {
  if (token?.kind === 'quoted-word') return true
  const text = reader.textOf(token).toLowerCase()
  return text === ')' || (token?.kind === 'word' && !notNames.has(text))
}

/** Words before which `include` would be an expression or a table's name. */
const notNames = new Set(
  (
    'all analyse analyze and any array as asc asymmetric between both by case cast check collate ' +
    'column constraint create cross current_date default delete desc distinct do else end escape ' +
    'except false fetch for foreign freeze from full grant group having ilike in initially inner ' +
    'insert intersect into is isnull join lateral leading left like limit natural not notnull ' +
    'null offset on only or order outer over overlaps placing primary references returning right ' +
    'select similar some symmetric table then to trailing true union unique update user using ' +
    'values variadic verbose when where window with zone'
  ).split(' '),
)

/**
 * Which tables the words belong to, as byte offsets of their names. Errors: SYNTAX_ERROR for words
 * that follow no table of a FROM or USING.
 */
export function claimIncludeDeleted(
  source: Source,
  composed: ComposedText,
  words: readonly Splice[],
  root: object,
): readonly number[] {
  if (words.length === 0) return []
  const unclaimed = new Set(words)
  const claimed: number[] = []
  visitTree(root, (_key, fields) => {
    for (const table of sourcesOf(fields)) {
      const word = words.find((each) => unclaimed.has(each) && follows(composed, table, each))
      if (word === undefined) continue
      unclaimed.delete(word)
      claimed.push(table.location ?? 0)
    }
  })
  for (const { start } of unclaimed) {
    const message = 'INCLUDE DELETED is said of a table in FROM or USING, after its name or alias'
    const hint = 'Statements change live rows only; UNDELETE FROM brings others back.'
    throw errorAt(source, start, 'SYNTAX_ERROR', message, { hint })
  }
  return claimed
}

/** The tables that a part of a statement reads from: items of FROM and USING, sides of joins. */
function sourcesOf(fields: Readonly<Record<string, unknown>>): RangeVar[] {
  if (isTableCommand(fields)) return []
  const { fromClause, usingClause, sourceRelation, larg, rarg } = fields
  const sampled = 'repeatable' in fields || 'method' in fields ? fields['relation'] : undefined
  // What these fields hold are nodes.
  const nodes = [fromClause, usingClause, sourceRelation, larg, rarg, sampled].flat() as Node[]
  return nodes.flatMap((node) => fieldsOf(node, 'RangeVar') ?? [])
}

/** `TABLE app.todos`: its `*` stands nowhere. */
function isTableCommand({ targetList }: Readonly<Record<string, unknown>>): boolean {
  const [first] = Array.isArray(targetList) ? (targetList as readonly Node[]) : []
  return fieldsOf(first, 'ResTarget')?.location === -1
}

/** Whether the blanks of the word stand after the table's name or its alias. */
function follows(composed: ComposedText, table: RangeVar, word: Splice): boolean {
  const { text } = composed
  const name = afterName(text, indexOfByte(text, table.location ?? 0))
  const ends = table.alias === undefined ? [name] : [name, afterAlias(text, name)]
  return ends.some((end) => {
    const next = significantAt(text, end)?.start ?? text.length
    return composed.toSourceIndex(end) <= word.start && word.start < composed.toSourceIndex(next)
  })
}
