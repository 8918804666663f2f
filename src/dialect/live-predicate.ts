/**
 * A WHERE of one table as data that can be decided without PostgreSQL, as far as that is possible:
 * comparisons of plain columns and constants joined by AND, OR, NOT. The rest is `opaque`.
 */
import type { A_Const, Node } from 'libpg-query'
import { fieldsOf, stringsOf, type Fields } from './syntax-tree.js'

export type Predicate =
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Predicate[] }
  | { readonly kind: 'not'; readonly part: Predicate }
  | {
      readonly kind: 'compare'
      readonly operator: Comparison
      readonly left: Term
      readonly right: Term
    }
  | { readonly kind: 'in'; readonly left: Term; readonly right: readonly Term[] }
  | { readonly kind: 'is-null'; readonly term: Term }
  /** `x IS [NOT] TRUE | FALSE`, never null. */
  | { readonly kind: 'is'; readonly value: boolean; readonly part: Predicate }
  /** A boolean column or constant by itself. */
  | { readonly kind: 'term'; readonly term: Term }
  /** Only PostgreSQL can tell. */
  | { readonly kind: 'opaque' }

export type Comparison = '=' | '<>' | '<' | '<=' | '>' | '>='

export type Term = ColumnTerm | Operand

export interface ColumnTerm {
  readonly kind: 'column'
  /** Alias or table name in front of it, if there is one. */
  readonly qualifier: string | undefined
  readonly name: string
}

/** What a column is compared with. */
export type Operand =
  | { readonly kind: 'parameter'; readonly number: number }
  /** `string`: of no type yet, as `'7'` is; PostgreSQL gives it that of the other side. */
  | {
      readonly kind: 'constant'
      readonly type: 'integer' | 'string' | 'boolean'
      readonly text: string
    }
  | { readonly kind: 'null' }

/** `column = value`, or one of several values, that every row of the result fulfils. */
export interface Condition {
  readonly column: ColumnTerm
  readonly values: readonly Operand[]
}

const opaque: Predicate = Object.freeze({ kind: 'opaque' })

export function readPredicate(node: Node | undefined): Predicate {
  if (node === undefined) return opaque
  const both = fieldsOf(node, 'BoolExpr')
  if (both !== undefined) return readBoolean(both)
  const expression = fieldsOf(node, 'A_Expr')
  if (expression !== undefined) return readExpression(expression)
  const nullTest = fieldsOf(node, 'NullTest')
  if (nullTest !== undefined) return readNullTest(nullTest)
  const booleanTest = fieldsOf(node, 'BooleanTest')
  if (booleanTest !== undefined) return readBooleanTest(booleanTest)
  const term = readTerm(node)
  return term === undefined ? opaque : { kind: 'term', term }
}

/** The conditions among the parts of the topmost AND. */
export function conditionsOf(predicate: Predicate): readonly Condition[] {
  switch (predicate.kind) {
    case 'and':
      return predicate.parts.flatMap(conditionsOf)
    case 'compare':
      return predicate.operator === '=' ? conditionOf(predicate.left, [predicate.right]) : []
    case 'in':
      return conditionOf(predicate.left, predicate.right)
    case 'term':
    case 'or':
    case 'not':
    case 'is-null':
    case 'is':
    case 'opaque':
      return []
  }
}

function conditionOf(left: Term, right: readonly Term[]): Condition[] {
  const [first] = right
  if (left.kind !== 'column') {
    return first?.kind === 'column' ? [{ column: first, values: [left] }] : []
  }
  const values = right.filter((term): term is Operand => term.kind !== 'column')
  return values.length === right.length ? [{ column: left, values }] : []
}

function readBoolean({ boolop, args }: Fields<'BoolExpr'>): Predicate {
  const parts = (args ?? []).map(readPredicate)
  const [first = opaque] = parts
  if (boolop === 'NOT_EXPR') return { kind: 'not', part: first }
  return { kind: boolop === 'AND_EXPR' ? 'and' : 'or', parts }
}

function readExpression(expression: Fields<'A_Expr'>): Predicate {
  const left = readTerm(expression.lexpr)
  if (left === undefined) return opaque
  // Of many kinds these are known.
  const kind: string = expression.kind ?? ''
  switch (kind) {
    case 'AEXPR_OP':
      return compare(operatorOf(expression), left, readTerm(expression.rexpr))
    case 'AEXPR_IN':
      return readIn(expression, left)
    case 'AEXPR_BETWEEN':
      return readBetween(expression, left)
    case 'AEXPR_NOT_BETWEEN':
      return { kind: 'not', part: readBetween(expression, left) }
    default:
      return opaque
  }
}

function compare(operator: string, left: Term, right: Term | undefined): Predicate {
  const isKnown = isComparison(operator)
  return isKnown && right !== undefined ? { kind: 'compare', operator, left, right } : opaque
}

function isComparison(operator: string): operator is Comparison {
  return ['=', '<>', '<', '<=', '>', '>='].includes(operator)
}

/** `OPERATOR(schema.=)` may be anyone's: it has no name here. */
function operatorOf({ name }: Fields<'A_Expr'>): string {
  const names = stringsOf(name)
  return names.length === 1 ? (names[0] ?? '') : ''
}

function readIn(expression: Fields<'A_Expr'>, left: Term): Predicate {
  const right = listOf(expression.rexpr)
  const operator = operatorOf(expression)
  if (right === undefined || (operator !== '=' && operator !== '<>')) return opaque
  const found: Predicate = { kind: 'in', left, right }
  return operator === '=' ? found : { kind: 'not', part: found }
}

function readBetween(expression: Fields<'A_Expr'>, left: Term): Predicate {
  const [from, to] = listOf(expression.rexpr) ?? []
  return { kind: 'and', parts: [compare('>=', left, from), compare('<=', left, to)] }
}

function listOf(node: Node | undefined): readonly Term[] | undefined {
  const items = fieldsOf(node, 'List')?.items ?? []
  const terms = items.map(readTerm)
  const known = terms.filter((term) => term !== undefined)
  return known.length === terms.length ? known : undefined
}

function readNullTest({ arg, nulltesttype }: Fields<'NullTest'>): Predicate {
  const term = readTerm(arg)
  if (term === undefined) return opaque
  const isNull: Predicate = { kind: 'is-null', term }
  return nulltesttype === 'IS_NOT_NULL' ? { kind: 'not', part: isNull } : isNull
}

const booleanTests: Readonly<Record<string, readonly [value: boolean, negated: boolean]>> = {
  IS_TRUE: [true, false],
  IS_NOT_TRUE: [true, true],
  IS_FALSE: [false, false],
  IS_NOT_FALSE: [false, true],
}

function readBooleanTest({ arg, booltesttype }: Fields<'BooleanTest'>): Predicate {
  const test = booleanTests[booltesttype ?? '']
  if (test === undefined) return opaque
  const [value, negated] = test
  const is: Predicate = { kind: 'is', value, part: readPredicate(arg) }
  return negated ? { kind: 'not', part: is } : is
}

export function readTerm(node: Node | undefined): Term | undefined {
  const column = fieldsOf(node, 'ColumnRef')
  if (column !== undefined) return readColumn(column)
  const parameter = fieldsOf(node, 'ParamRef')
  if (parameter !== undefined) return { kind: 'parameter', number: parameter.number ?? 0 }
  const constant = fieldsOf(node, 'A_Const')
  return constant === undefined ? undefined : readConstant(constant)
}

/** `column` or `table.column`; whole rows and `schema.table.column` are left to PostgreSQL. */
export function readColumn({ fields }: Fields<'ColumnRef'>): ColumnTerm | undefined {
  const names = stringsOf(fields)
  const [first, second] = names
  if (first === undefined || names.length !== fields?.length || names.length > 2) return undefined
  if (second === undefined) return { kind: 'column', qualifier: undefined, name: first }
  return { kind: 'column', qualifier: first, name: second }
}

/** libpg-query leaves out what is 0, false or empty. */
function readConstant({ isnull, ival, sval, boolval }: A_Const): Operand | undefined {
  if (isnull === true) return { kind: 'null' }
  if (ival !== undefined) return constant('integer', String(ival.ival ?? 0))
  if (sval !== undefined) return constant('string', sval.sval ?? '')
  if (boolval !== undefined) return constant('boolean', String(boolval.boolval ?? false))
  return undefined
}

function constant(type: 'integer' | 'string' | 'boolean', text: string): Operand {
  return { kind: 'constant', type, text }
}
