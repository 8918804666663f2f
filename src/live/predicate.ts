/**
 * Decides a WHERE on the images of rows, exactly as PostgreSQL would, three-valued logic included.
 * Only what is known to be the same is compiled: comparisons of int2, int4, int8, uuid and bool,
 * and equality of text under collations where equal means the same bytes.
 */
import type { Comparison, Operand, Predicate, Term } from '../dialect/live-predicate.js'
import type { TextValue } from '../engine/frontend-messages.js'
import { comparableOf, type Comparable, type Family } from './comparable.js'

/** A value of a row; null for NULL. */
export type ReadColumn = (column: number) => TextValue

/** True, false, or null for unknown. A row is in the result if it is true. */
export type Decide = (read: ReadColumn) => boolean | null

export interface ColumnPlace {
  /** What `ReadColumn` takes. */
  readonly index: number
  /** Undefined for columns that only PostgreSQL can compare. */
  readonly family: Family | undefined
}

export interface ParameterValue {
  readonly family: Family | undefined
  readonly text: TextValue
}

export interface PredicateNames {
  readonly column: (term: Term & { readonly kind: 'column' }) => ColumnPlace | undefined
  readonly parameter: (number: number) => ParameterValue | undefined
}

/** Undefined if only PostgreSQL can tell. */
export function compilePredicate(predicate: Predicate, names: PredicateNames): Decide | undefined {
  switch (predicate.kind) {
    case 'and':
    case 'or':
      return compileAll(predicate.kind, predicate.parts, names)
    case 'not':
      return negate(compilePredicate(predicate.part, names))
    case 'compare':
      return compileComparison(predicate.operator, predicate.left, predicate.right, names)
    case 'in':
      return compileAll(
        'or',
        predicate.right.map((right) => ({
          kind: 'compare',
          operator: '=',
          left: predicate.left,
          right,
        })),
        names,
      )
    case 'is-null':
      return compileIsNull(predicate.term, names)
    case 'is':
      return compileIs(predicate.value, compilePredicate(predicate.part, names))
    case 'term':
      return compileTruth(predicate.term, names)
    case 'opaque':
      return undefined
  }
}

function compileAll(
  kind: 'and' | 'or',
  parts: readonly Predicate[],
  names: PredicateNames,
): Decide | undefined {
  const decides = parts.map((part) => compilePredicate(part, names))
  const known = decides.filter((decide) => decide !== undefined)
  if (known.length < decides.length || known.length === 0) return undefined
  // The value that settles it, whatever the others are.
  const settling = kind === 'or'
  return (read) => {
    let result: boolean | null = !settling
    for (const decide of known) {
      const value = decide(read)
      if (value === settling) return settling
      if (value === null) result = null
    }
    return result
  }
}

function negate(decide: Decide | undefined): Decide | undefined {
  if (decide === undefined) return undefined
  return (read) => {
    const value = decide(read)
    return value === null ? null : !value
  }
}

function compileIs(wanted: boolean, decide: Decide | undefined): Decide | undefined {
  return decide && ((read) => decide(read) === wanted)
}

function compileIsNull(term: Term, names: PredicateNames): Decide | undefined {
  const column = term.kind === 'column' ? names.column(term) : undefined
  return column && ((read) => read(column.index) === null)
}

function compileTruth(term: Term, names: PredicateNames): Decide | undefined {
  if (term.kind === 'null') return () => null
  const side =
    term.kind === 'constant' && term.type !== 'boolean' ? undefined : resolve(term, names)
  if (side?.family !== 'boolean') return undefined
  return (read) => {
    const value = side.value(read)
    return value === null ? null : value === 't'
  }
}

interface Side {
  readonly family: Family
  readonly value: (read: ReadColumn) => Comparable | null
}

function compileComparison(
  operator: Comparison,
  left: Term,
  right: Term,
  names: PredicateNames,
): Decide | undefined {
  if (left.kind !== 'column' && right.kind !== 'column') return undefined
  const [leftSide, rightSide] = resolveBoth(left, right, names)
  if (leftSide === undefined || rightSide === undefined) return undefined
  if (leftSide.family !== rightSide.family || !isComparable(leftSide.family, operator))
    return undefined
  const holds = comparisons[operator]
  return (read) => {
    const a = leftSide.value(read)
    const b = rightSide.value(read)
    return a === null || b === null ? null : holds(a, b)
  }
}

/** The order of text is its collation's. */
function isComparable(family: Family, operator: Comparison): boolean {
  return family !== 'text' || operator === '=' || operator === '<>'
}

/** Numbers and bigints compare with each other; `===` would tell 1 from 1n. */
const comparisons: Readonly<Record<Comparison, (a: Comparable, b: Comparable) => boolean>> = {
  '=': (a, b) => !(a < b) && !(a > b),
  '<>': (a, b) => a < b || a > b,
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
}

/** A constant without a type gets that of the other side. */
function resolveBoth(
  left: Term,
  right: Term,
  names: PredicateNames,
): readonly [Side | undefined, Side | undefined] {
  const leftSide = left.kind === 'column' ? resolve(left, names) : undefined
  const rightSide = right.kind === 'column' ? resolve(right, names) : undefined
  return [
    leftSide ?? resolve(left, names, rightSide?.family),
    rightSide ?? resolve(right, names, leftSide?.family),
  ]
}

function resolve(term: Term, names: PredicateNames, wanted?: Family): Side | undefined {
  if (term.kind === 'column') {
    const column = names.column(term)
    return column?.family === undefined ? undefined : columnSide(column.index, column.family)
  }
  const constant = constantValue(term, names, wanted)
  return constant && { family: constant.family, value: () => constant.value }
}

function columnSide(index: number, family: Family): Side {
  return {
    family,
    value: (read) => {
      const text = read(index)
      // What a column of this type holds is always comparable.
      return text === null ? null : (comparableOf(family, text) ?? text)
    },
  }
}

export interface ConstantValue {
  readonly family: Family
  readonly value: Comparable | null
}

/** The value of a constant or parameter, if it is one that can be compared as `wanted`. */
export function constantValue(
  operand: Operand,
  names: Pick<PredicateNames, 'parameter'>,
  wanted: Family | undefined,
): ConstantValue | undefined {
  switch (operand.kind) {
    case 'null':
      return wanted && { family: wanted, value: null }
    case 'parameter': {
      const parameter = names.parameter(operand.number)
      if (parameter?.family === undefined) return undefined
      return typedValue(parameter.family, parameter.text)
    }
    case 'constant': {
      const family = operand.type === 'string' ? wanted : operand.type
      return family && typedValue(family, operand.text)
    }
  }
}

function typedValue(family: Family, text: TextValue): ConstantValue | undefined {
  if (text === null) return { family, value: null }
  const value = comparableOf(family, text)
  return value === undefined ? undefined : { family, value }
}
