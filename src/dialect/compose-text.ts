import { indexOfCharacter, type TextPosition } from '../protocol/text-position.js'
import type { Splice, SqlPlan } from './plan.js'
import { positionIn } from './source.js'

/** The text that PostgreSQL gets, and the way back from its error positions. */
export interface ComposedText {
  readonly text: string
  /** From PostgreSQL's position (characters of `text`, from 1) to a place in the caller's SQL. */
  toCallerPosition(position: number): TextPosition
  /** From an index of `text` to one of the statement as written. */
  toSourceIndex(index: number): number
  /** From an index of `text` to a place in the caller's SQL. */
  positionOf(index: number): TextPosition
}

/** Gives a name what it is called in PostgreSQL. */
export type NameInPostgres = (name: string) => string

/** What a session of PostgreSQL's protocol has of its own, though one backend serves all. */
export interface OfSession {
  /** What its cursor or prepared statement of this name is called in PostgreSQL. */
  readonly nameInPostgres: NameInPostgres
  /** What pg_backend_pid() answers. */
  readonly processId: number
}

/**
 * Applies a plan's splices. `roleOfUser` gives the PostgreSQL role that stands for a KalamDB user;
 * what it throws passes through. Without a session its names stay as they were written.
 */
export function composeText(
  plan: Pick<SqlPlan, 'text' | 'place' | 'splices'>,
  roleOfUser: NameInPostgres,
  session: OfSession = asWritten,
): ComposedText {
  if (plan.splices.length === 0) return new UnchangedText(plan)
  const names = { roleOfUser, ...session }
  const pieces = plan.splices.map((splice) => replacementOf(splice, names))
  return composed(spliceText(plan.text, plan.splices, pieces), {
    toSourceIndex: (index) => sourceIndex(plan.splices, pieces, index),
    positionOf: (index) => positionIn(plan, sourceIndex(plan.splices, pieces, index)),
  })
}

/** Applies further splices, of texts only, to a text that was composed. */
export function composeOver(base: ComposedText, splices: readonly Splice[]): ComposedText {
  if (splices.length === 0) return base
  const pieces = splices.map(({ text }) => (typeof text === 'string' ? text : ''))
  const baseIndex = (index: number): number => sourceIndex(splices, pieces, index)
  return composed(spliceText(base.text, splices, pieces), {
    toSourceIndex: (index) => base.toSourceIndex(baseIndex(index)),
    positionOf: (index) => base.positionOf(baseIndex(index)),
  })
}

function composed(
  text: string,
  ways: Pick<ComposedText, 'toSourceIndex' | 'positionOf'>,
): ComposedText {
  return {
    text,
    ...ways,
    toCallerPosition: (position) => ways.positionOf(indexOfCharacter(text, position - 1)),
  }
}

/** Of a statement that reaches PostgreSQL as it was written. */
class UnchangedText implements ComposedText {
  readonly text: string
  readonly #plan: Pick<SqlPlan, 'text' | 'place'>

  constructor(plan: Pick<SqlPlan, 'text' | 'place'>) {
    this.text = plan.text
    this.#plan = plan
  }

  toCallerPosition(position: number): TextPosition {
    return this.positionOf(indexOfCharacter(this.text, position - 1))
  }

  toSourceIndex(index: number): number {
    return index
  }

  positionOf(index: number): TextPosition {
    return positionIn(this.#plan, index)
  }
}

const asWritten: OfSession = { nameInPostgres: String, processId: 0 }

/** An identifier as SQL text, always quoted. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

function replacementOf(
  { text }: Splice,
  names: OfSession & { readonly roleOfUser: NameInPostgres },
): string {
  if (typeof text === 'string') return text
  if ('roleOfUser' in text) return quoteIdentifier(names.roleOfUser(text.roleOfUser))
  if ('processId' in text) return String(names.processId)
  return quoteIdentifier(names.nameInPostgres(text.sessionName))
}

function spliceText(text: string, splices: readonly Splice[], pieces: readonly string[]): string {
  let composed = ''
  let end = 0
  for (const [number, splice] of splices.entries()) {
    composed += text.slice(end, splice.start) + (pieces[number] ?? '')
    end = splice.end
  }
  return composed + text.slice(end)
}

/** The statement's index for one in the composed text; inside a replacement, what it replaced. */
function sourceIndex(
  splices: readonly Splice[],
  pieces: readonly string[],
  composedIndex: number,
): number {
  let shift = 0
  for (const [number, splice] of splices.entries()) {
    const start = splice.start + shift
    const end = start + (pieces[number] ?? '').length
    if (composedIndex < start) break
    if (composedIndex < end) return splice.pointsTo ?? splice.start
    shift = end - splice.end
  }
  return composedIndex - shift
}
