/**
 * Keys of per-user tables begin with `_user_id`: so each user has a key space of their own, and a
 * foreign key stays inside one user. Edits go to the tree's places; where a constraint must move,
 * it is written anew from its own tokens.
 */
import type { Constraint, RangeVar } from 'libpg-query'
import { quoteIdentifier } from '../compose-text.js'
import { fieldsOf, stringsOf } from '../syntax-tree.js'
import { kindName, type TableKind, type TableShape } from '../table-shape.js'
import type { Draft } from './draft.js'
import type { ConstraintNames } from './postgres-names.js'
import { afterName, closingAt, findToken, significantAt, walkTokens, wordOf } from './token-walk.js'

/** What constraints are written for. */
export interface ConstraintContext {
  readonly draft: Draft
  readonly names: ConstraintNames
  /** Of the table that has them. */
  readonly kind: TableKind
  /** The table that a foreign key names; its own kind while it is being made. */
  readonly findTarget: (table: RangeVar) => Pick<TableShape, 'kind'> | undefined
}

/** A table's own constraint: `UNIQUE (a)`, or one that ALTER TABLE adds. */
export function rewriteTableConstraint(constraint: Constraint, context: ConstraintContext): void {
  const { draft } = context
  const start = draft.indexOf(constraint.location)
  if (isKey(constraint)) prefixKey(constraint, start, context)
  if (constraint.contype === 'CONSTR_EXCLUSION') prefixExclusion(constraint, start, context)
  if (constraint.contype !== 'CONSTR_FOREIGN') return
  const end = clauseEnd(draft.text, start)
  const columns = stringsOf(constraint.fk_attrs)
  const text = foreignKeyText(constraint, { columns, end }, context)
  if (text !== undefined) draft.replace(start, end, text)
}

function isKey({ contype }: Constraint): boolean {
  return contype === 'CONSTR_PRIMARY' || contype === 'CONSTR_UNIQUE'
}

function prefixKey(constraint: Constraint, start: number, context: ConstraintContext): void {
  const { draft, kind, names } = context
  if (!hasOwnKeys(kind) || constraint.indexname !== undefined) return
  if (constraint.without_overlaps === true) throw refusePeriods(draft, start)
  const columns = stringsOf(constraint.keys)
  const open = findToken(draft.text, start, '(')
  if (open === undefined || columns[0] === '_user_id') return
  if (constraint.contype === 'CONSTR_UNIQUE' && constraint.conname === undefined)
    draft.insert(start, `constraint ${quoteIdentifier(names.choose(columns, 'key'))} `)
  draft.insert(open.end, '_user_id, ')
}

function prefixExclusion(constraint: Constraint, start: number, context: ConstraintContext): void {
  const { draft, kind, names } = context
  const open = findToken(draft.text, start, '(')
  if (!hasOwnKeys(kind) || open === undefined) return
  const columns = (constraint.exclusions ?? []).map((pair) => {
    const [element] = fieldsOf(pair, 'List')?.items ?? []
    return fieldsOf(element, 'IndexElem')?.name ?? 'expr'
  })
  if (constraint.conname === undefined)
    draft.insert(start, `constraint ${quoteIdentifier(names.choose(columns, 'excl'))} `)
  draft.insert(open.end, '_user_id with =, ')
}

/**
 * A column's own keys become constraints of the table: their texts. `end` is where the column ends
 * at the latest; `bounds` are where its other clauses begin.
 */
export function liftColumnConstraints(
  column: string,
  constraints: readonly Constraint[],
  { bounds, ...context }: ConstraintContext & { readonly bounds: readonly number[] },
): string[] {
  const { draft } = context
  return constraints.flatMap((constraint) => {
    const start = draft.indexOf(constraint.location)
    const bound = Math.min(...bounds.filter((each) => each > start))
    const end = clauseEnd(draft.text, start, bound)
    const text = liftedText(column, constraint, { ...context, start, end })
    if (text === undefined) return []
    draft.replace(start, end, '')
    return [text]
  })
}

function liftedText(
  column: string,
  constraint: Constraint,
  { start, end, ...context }: ConstraintContext & { readonly start: number; readonly end: number },
): string | undefined {
  if (constraint.contype === 'CONSTR_FOREIGN')
    return foreignKeyText(constraint, { columns: [column], end }, context)
  if (!isKey(constraint) || !hasOwnKeys(context.kind)) return undefined
  return keyText(column, constraint, { ...context, start, end })
}

/** `CONSTRAINT x UNIQUE NULLS NOT DISTINCT WITH (…) DEFERRABLE`, with the columns in it. */
function keyText(
  column: string,
  constraint: Constraint,
  {
    draft,
    names,
    start,
    end,
  }: ConstraintContext & { readonly start: number; readonly end: number },
): string {
  const isPrimary = constraint.contype === 'CONSTR_PRIMARY'
  const keyword = findToken(draft.text, start, isPrimary ? 'key' : 'unique')
  let keysAt = keyword?.end ?? end
  for (const token of walkTokens(draft.text, keysAt)) {
    if (!['nulls', 'not', 'distinct'].includes(token.word) || isPrimary) break
    if (
      token.word === 'not' &&
      wordOf(draft.text, significantAt(draft.text, token.end)) !== 'distinct'
    )
      break
    keysAt = token.end
  }
  const isNamed = isPrimary || constraint.conname !== undefined
  const name = isNamed ? '' : `constraint ${quoteIdentifier(names.choose([column], 'key'))} `
  const head = draft.text.slice(start, keysAt)
  return `${name}${head} (_user_id, ${quoteIdentifier(column)})${draft.text.slice(keysAt, end)}`
}

interface ForeignKeyPlace {
  /** The table's own columns. */
  readonly columns: readonly string[]
  readonly end: number
}

/** The whole foreign key anew; undefined if it can stay as it is. Errors: STATEMENT_REFUSED. */
function foreignKeyText(
  constraint: Constraint,
  { columns, end }: ForeignKeyPlace,
  { draft, names, kind, findTarget }: ConstraintContext,
): string | undefined {
  const { pktable, conname, pk_attrs: targets } = constraint
  const target = pktable && findTarget(pktable)
  if (pktable === undefined || target === undefined || !hasOwnKeys(target.kind)) return undefined
  // Written in full, as in a dump; the catalog's guards look at it.
  if (columns[0] === '_user_id') return undefined
  refuseForeignKey(constraint, { columns, kind, target: target.kind, draft })
  const name = quoteIdentifier(conname ?? names.choose(columns, 'fkey'))
  const own = columns.map(quoteIdentifier).join(', ')
  const others = stringsOf(targets).map((each) => `, ${quoteIdentifier(each)}`)
  const nameStart = draft.indexOf(pktable.location)
  const nameEnd = afterName(draft.text, nameStart)
  const list = significantAt(draft.text, nameEnd)
  const hasList = others.length > 0 && list !== undefined
  const restStart = hasList ? closingAt(draft.text, list.start) + 1 : nameEnd
  return (
    `constraint ${name} foreign key (_user_id, ${own}) ` +
    `references ${draft.text.slice(nameStart, nameEnd)}` +
    (hasList ? ` (_user_id${others.join('')})` : '') +
    actionsText(draft.text.slice(restStart, end), own)
  )
}

function refuseForeignKey(
  constraint: Constraint,
  {
    columns,
    kind,
    target,
    draft,
  }: {
    readonly columns: readonly string[]
    readonly kind: TableKind
    readonly target: TableKind
    readonly draft: Draft
  },
): void {
  const at = draft.indexOf(constraint.location)
  const targetAt = draft.indexOf(constraint.pktable?.location)
  if (target === 'stream') {
    throw draft.refusal(targetAt, 'a foreign key to a STREAM table is refused: its rows expire')
  }
  if (!hasOwnKeys(kind)) {
    const message = `a foreign key from a ${kindName(kind)} to a USER table is refused: a key there is one user's`
    throw draft.refusal(targetAt, message, 'Make this table a USER table too.')
  }
  if (constraint.fk_with_period === true) throw refusePeriods(draft, at)
  if (constraint.fk_upd_action === 'n' || constraint.fk_upd_action === 'd') {
    const message = 'ON UPDATE SET NULL and SET DEFAULT are refused: they would also reset _user_id'
    throw draft.refusal(at, message, 'Use ON UPDATE CASCADE.')
  }
  if (constraint.fk_matchtype === 'f' && columns.length > 1) {
    const message =
      'MATCH FULL of several columns is refused: _user_id, which is never null, counts'
    throw draft.refusal(at, message, 'Use MATCH SIMPLE with a CHECK that all or none are null.')
  }
}

/**
 * What follows the referenced columns. SET NULL and SET DEFAULT get the list of columns that
 * leaves `_user_id` alone; MATCH FULL of one column means the same as MATCH SIMPLE.
 */
function actionsText(rest: string, columns: string): string {
  let text = ''
  let end = 0
  const words: string[] = []
  for (const token of walkTokens(rest, 0)) {
    words.push(token.word)
    const last = words.slice(-4).join(' ')
    if (last.endsWith('match full')) {
      text += `${rest.slice(end, token.start)}simple`
      end = token.end
    } else if (last === 'on delete set null' || last === 'on delete set default') {
      text += rest.slice(end, token.end)
      end = token.end
      if (wordOf(rest, significantAt(rest, end)) !== '(') text += ` (${columns})`
    }
  }
  return text + rest.slice(end)
}

/** The index after a constraint's last token: before the next clause, `,`, `)` or the end. */
function clauseEnd(text: string, start: number, bound = Infinity): number {
  let end = start
  for (const token of walkTokens(text, start)) {
    if (token.start >= bound || (token.depth === 0 && token.word === ',')) break
    end = token.end
  }
  return end
}

function hasOwnKeys(kind: TableKind): boolean {
  return kind === 'user' || kind === 'stream'
}

function refusePeriods(draft: Draft, index: number) {
  const message = 'WITHOUT OVERLAPS and PERIOD are refused on USER and STREAM tables'
  return draft.refusal(index, message, 'Use EXCLUDE USING gist (…) with the extension btree_gist.')
}
