/**
 * INSERT, MERGE and CREATE INDEX on managed tables. Without a column list the user's own columns
 * are meant: by PostgreSQL's own rule while the system columns stand last, by a list that is put in
 * once ALTER TABLE has added columns behind them.
 */
import type { IndexStmt, InsertStmt, MergeStmt, Node, SelectStmt } from 'libpg-query'
import { quoteIdentifier } from '../compose-text.js'
import type { Token } from '../../protocol/sql-text.js'
import { fieldsOf } from '../syntax-tree.js'
import { isManaged, isPerUser, type TableShape } from '../table-shape.js'
import type { Draft } from './draft.js'
import type { FindTable } from './find-table.js'
import type { Scope } from './scoped-tree.js'
import {
  afterAliasName,
  afterName,
  findToken,
  significantAt,
  walkTokens,
  wordOf,
} from './token-walk.js'

export function rewriteInsert(
  insert: InsertStmt,
  {
    draft,
    find,
    scope,
  }: { readonly draft: Draft; readonly find: FindTable; readonly scope: Scope },
): void {
  const { relation: table, cols, selectStmt, onConflictClause } = insert
  if (table === undefined) return
  const shape = find(table)
  const start = draft.indexOf(table.location)
  if (isManaged(shape) && cols === undefined && selectStmt !== undefined) {
    const select = fieldsOf(selectStmt, 'SelectStmt')
    const width = spellStars(select, { draft, find, scope }) ?? widthOf(select)
    const list = columnList(shape, width, () => ambiguous(draft, start))
    const nameEnd = afterName(draft.text, start)
    const end = table.alias === undefined ? nameEnd : afterAliasName(draft.text, nameEnd)
    if (list !== undefined) draft.insert(end, ` ${list}`)
  }
  const target = onConflictClause?.infer
  if (!isPerUser(shape) || target?.indexElems === undefined) return
  if (startsWithOwner(target.indexElems)) return
  draft.insert(draft.indexOf(target.location) + 1, '_user_id, ')
}

/** `WHEN NOT MATCHED THEN INSERT VALUES (…)`; the tree does not tell where. */
export function rewriteMerge(merge: MergeStmt, draft: Draft, find: FindTable): void {
  const { relation: table, mergeWhenClauses } = merge
  const shape = table && find(table)
  if (!isManaged(shape)) return
  const start = draft.indexOf(table?.location)
  const inserts = (mergeWhenClauses ?? [])
    .flatMap((node) => fieldsOf(node, 'MergeWhenClause') ?? [])
    .filter(({ commandType }) => commandType === 'CMD_INSERT')
  const lists = inserts.map(({ targetList, values }) =>
    targetList === undefined && values !== undefined
      ? columnList(shape, values.length, () => ambiguous(draft, start))
      : undefined,
  )
  if (lists.every((list) => list === undefined)) return
  const places = insertKeywords(draft.text, start)
  if (places.length !== lists.length) throw ambiguous(draft, start)
  for (const [number, list] of lists.entries())
    if (list !== undefined) draft.insert(places[number] ?? 0, ` ${list}`)
}

/** A b-tree serves a user's queries when it begins with the user; one that is UNIQUE must. */
export function rewriteIndex(index: IndexStmt, draft: Draft, find: FindTable): void {
  const { relation: table, accessMethod = 'btree', indexParams } = index
  if (table === undefined || accessMethod !== 'btree' || !isPerUser(find(table))) return
  if (startsWithOwner(indexParams)) return
  if (isOfExpiry(index)) {
    // A STREAM table has it; a dump makes it once more.
    draft.insert(findToken(draft.text, 0, 'index')?.end ?? 0, ' if not exists')
    return
  }
  const nameEnd = afterName(draft.text, draft.indexOf(table.location))
  const open = findToken(draft.text, nameEnd, '(')
  if (open !== undefined) draft.insert(open.end, '_user_id, ')
}

function isOfExpiry({ indexParams = [], idxname, if_not_exists: isCareful }: IndexStmt): boolean {
  const [only, ...others] = indexParams.map((node) => fieldsOf(node, 'IndexElem')?.name)
  const isMade = idxname?.endsWith('__expires_at_idx') === true && isCareful !== true
  return isMade && only === '_expires_at' && others.length === 0
}

function startsWithOwner(elements: readonly Node[] | undefined): boolean {
  return fieldsOf(elements?.[0], 'IndexElem')?.name === '_user_id'
}

/** The indexes after each `THEN INSERT` of a MERGE. */
function insertKeywords(text: string, start: number): number[] {
  const places: number[] = []
  let before = ''
  for (const { word, depth, end } of walkTokens(text, start)) {
    if (depth === 0 && word === 'insert' && before === 'then') places.push(end)
    before = word
  }
  return places
}

/**
 * The list that makes so many values mean the user's own columns; undefined if PostgreSQL's rule
 * is right. `width` undefined: it is not known how many there are.
 */
function columnList(
  shape: TableShape,
  width: number | undefined,
  refusal: () => Error,
): string | undefined {
  const own = shape.columns.filter(({ system }) => !system).map(({ name }) => name)
  const leading = shape.columns.findIndex(({ system }) => system)
  if (width === undefined) {
    if (leading === own.length) return undefined
    throw refusal()
  }
  if (width <= leading) return undefined
  return `(${own.slice(0, width).map(quoteIdentifier).join(', ')})`
}

/** How many values a query gives; undefined if a `*` in it hides that. */
function widthOf(select: SelectStmt | undefined): number | undefined {
  if (select === undefined) return undefined
  if (select.larg !== undefined) return widthOf(select.larg)
  const [first] = select.valuesLists ?? []
  if (first !== undefined) return fieldsOf(first, 'List')?.items?.length
  const targets = select.targetList ?? []
  const hasStar = targets.some((node) => isStar(fieldsOf(node, 'ResTarget')?.val))
  return hasStar ? undefined : targets.length
}

/**
 * `SELECT *` of one managed table means the user's own columns here, which are spelt out; the
 * system's can be no values. How many values that makes; undefined where it is not so.
 */
function spellStars(
  select: SelectStmt | undefined,
  context: { readonly draft: Draft; readonly find: FindTable; readonly scope: Scope },
): number | undefined {
  if (select === undefined || select.withClause !== undefined) return undefined
  if (select.larg !== undefined) {
    const width = spellStars(select.larg, context)
    return spellStars(select.rarg, context) ?? width
  }
  const [source, ...others] = select.fromClause ?? []
  const table = fieldsOf(source, 'RangeVar')
  const shape = table && context.find(table, context.scope)
  if (!isManaged(shape) || others.length > 0) return undefined
  const own = shape.columns.filter(({ system }) => !system).map(({ name }) => name)
  const alias = quoteIdentifier(table?.alias?.aliasname ?? table?.relname ?? '')
  const text = own.map((name) => `${alias}.${quoteIdentifier(name)}`).join(', ')
  const targets = select.targetList ?? []
  const values = targets.map((node) => fieldsOf(node, 'ResTarget')?.val)
  for (const value of values.filter(isStar)) {
    const { location = 0 } = fieldsOf(value, 'ColumnRef') ?? {}
    // The star of TABLE t stands nowhere.
    if (location < 0) spellTable(text, context.draft.indexOf(table?.location), context.draft)
    else spellStar(text, context.draft.indexOf(location), context.draft)
  }
  return values.reduce((sum, value) => sum + (isStar(value) ? own.length : 1), 0)
}

function spellStar(columns: string, start: number, draft: Draft): void {
  const star = findToken(draft.text, start, '*')
  if (star !== undefined) draft.replace(start, star.end, columns)
}

/** `TABLE [ONLY] t`: before the name, the last token that reads so. */
function spellTable(columns: string, nameStart: number, draft: Draft): void {
  let word: Token | undefined
  for (
    let token = significantAt(draft.text, 0);
    token !== undefined && token.start < nameStart;
    token = significantAt(draft.text, token.end)
  )
    if (wordOf(draft.text, token) === 'table') word = token
  if (word !== undefined) draft.replace(word.start, word.end, `select ${columns} from`)
}

function isStar(node: Node | undefined): boolean {
  const last =
    fieldsOf(node, 'ColumnRef')?.fields?.at(-1) ??
    fieldsOf(node, 'A_Indirection')?.indirection?.at(-1)
  return fieldsOf(last, 'A_Star') !== undefined
}

function ambiguous(draft: Draft, index: number): Error {
  const message = 'INSERT without a list of columns is refused: columns were added to the table'
  return draft.refusal(index, message, 'Name the columns: INSERT INTO t (a, b) ….')
}
