/**
 * One statement's way to a plan:
 *
 *   text → KalamDB's own statement? → its plan
 *        → splices for KalamDB's words → PostgreSQL's grammar → rules → the plan
 *
 * What depends on the tables of the moment is left for the statement's turn: rewrite/rewrite-statement.ts.
 */
import type { RawStmt } from 'libpg-query'
import { DbError } from '../errors.js'
import type { Token } from '../protocol/sql-text.js'
import { indexOfByte, indexOfCharacter } from '../protocol/text-position.js'
import { checkStatement, type Traits } from './check-statement.js'
import { composeText, type ComposedText } from './compose-text.js'
import { readExecuteAs, readKalamStatement, type ExecuteAs } from './kalam-statement.js'
import { readNamespaceSplices } from './namespace-statement.js'
import type { KalamPlan, Plan, PlanContext, Splice, SqlPlan } from './plan.js'
import type { PostgresParser } from './postgres-parser.js'
import type { Refusal } from './refusal.js'
import { rewriteStatement } from './rewrite/rewrite-statement.js'
import { readRoleSplices } from './role-list.js'
import type { Role } from './roles.js'
import { readSessionNames } from './session-names.js'
import { readShowSplices } from './show-statement.js'
import { mayAskCatalogs, showCatalogs } from './shown-catalogs.js'
import { errorAt, type Source } from './source.js'
import { onlyStatement } from './syntax-tree.js'
import { syntaxHint } from './syntax-hints.js'
import { noTables } from './table-shape.js'
import {
  claimIncludeDeleted,
  createdKind,
  findIncludeDeleted,
  readTableWords,
} from './table-words.js'
import { TokenReader } from './token-reader.js'

/** Errors: SYNTAX_ERROR, STATEMENT_REFUSED, FORBIDDEN, OUT_OF_RESOURCES, UNAVAILABLE. */
export function planStatement(source: Source, context: PlanContext, parser: PostgresParser): Plan {
  const reader = new TokenReader(source)
  const executeAs = readExecuteAs(reader)
  if (executeAs !== undefined) return planExecuteAs(source, executeAs, context, parser)
  if (createdKind(reader) === undefined) {
    const kalamPlan = readKalamStatement(reader)
    if (kalamPlan !== undefined) return allowKalam(source, kalamPlan, context)
  }
  return planSql(reader, context, parser)
}

function planExecuteAs(
  source: Source,
  { name, inner }: ExecuteAs,
  context: PlanContext,
  parser: PostgresParser,
): Plan {
  if (context.role === 'user') {
    throw errorAt(source, 0, 'FORBIDDEN', 'EXECUTE AS is for the roles service and admin')
  }
  if (new TokenReader(inner).isNext('execute', 'as'))
    throw refuseInner(inner, 'it cannot be nested')
  // Whoever it is done as has at least the rights of a user, and no more is given.
  const plan = planStatement(inner, { ...context, role: 'user' }, parser)
  if (plan.kind !== 'sql') throw refuseInner(inner, 'it takes one SQL statement')
  if (plan.stateful) throw refuseInner(inner, 'its effect would outlive the statement')
  return Object.freeze({ kind: 'execute-as', place: source.place, name, inner: plan })
}

function refuseInner(inner: Source, reason: string): DbError {
  return errorAt(inner, 0, 'STATEMENT_REFUSED', `this is refused inside EXECUTE AS: ${reason}`)
}

function allowKalam(source: Source, plan: KalamPlan, context: PlanContext): KalamPlan {
  if (plan.kind === 'kill-live-query') return Object.freeze(plan)
  const name = plan.kind.toUpperCase().replaceAll('-', ' ')
  if (context.role !== 'admin') {
    throw errorAt(source, 0, 'FORBIDDEN', 'users and keys are managed by admins')
  }
  if (context.readOnly) {
    throw errorAt(source, 0, 'FORBIDDEN', `this key may only read: ${name} is not allowed`)
  }
  return Object.freeze(plan)
}

function planSql(reader: TokenReader, context: PlanContext, parser: PostgresParser): SqlPlan {
  if (context.door === 'http') refuseLongNames(reader)
  const { source } = reader
  const { creates, undeletes, splices: words } = readTableWords(reader.rewind())
  const names = context.door === 'postgres' ? readSessionNames(reader.rewind()) : []
  const splices = [...words, ...names, ...readSplices(reader)]
  const includes = readIncludes(reader, splices, parser)
  const draft = {
    text: source.text,
    place: source.place,
    splices: frozenInOrder([...splices, ...includes]),
  }
  const composed = composeText(draft, () => placeholderRole)
  const statements = parse(source, composed, parser)
  const traits = judge(source, composed, statements, context)
  const shown =
    context.door === 'postgres'
      ? readShown(source, { composed, role: context.role }, statements)
      : []
  const includesDeleted = claimIncludeDeleted(source, composed, includes, statements)
  const plan: SqlPlan = Object.freeze({
    ...{ kind: 'sql', role: context.role, ...draft, ...traits },
    splices: shown.length === 0 ? draft.splices : frozenInOrder([...draft.splices, ...shown]),
    words: Object.freeze({ creates, undeletes, includesDeleted }),
  })
  // What is wrong with a new table shows before anything of the request runs.
  if (creates !== undefined) rewriteStatement(plan, { parser, tables: noTables, searchPath: [] })
  return plan
}

/** Stands for the role of a user while the text is only parsed. */
const placeholderRole = 'kalam_u'

function readSplices(reader: TokenReader): readonly Splice[] {
  return [
    ...readNamespaceSplices(reader.rewind()),
    ...readShowSplices(reader.rewind()),
    ...readRoleSplices(reader.rewind()),
  ]
}

/** Splices for INCLUDE DELETED; a text that PostgreSQL takes as it is stays PostgreSQL's. */
function readIncludes(
  reader: TokenReader,
  splices: readonly Splice[],
  parser: PostgresParser,
): readonly Splice[] {
  const includes = findIncludeDeleted(reader)
  if (includes.length === 0) return []
  const { text, place } = reader.source
  const asWritten = composeText(
    { text, place, splices: frozenInOrder(splices) },
    () => placeholderRole,
  )
  return parser.parse(asWritten.text).kind === 'parsed' ? [] : includes
}

/** Splices for what a client of the Postgres protocol is shown, where it stands in the text as written. */
function readShown(
  source: Source,
  { composed, role }: { readonly composed: ComposedText; readonly role: Role },
  statements: readonly RawStmt[],
): readonly Splice[] {
  const statement = mayAskCatalogs(source.text) ? onlyStatement(statements) : undefined
  if (statement === undefined) return []
  return showCatalogs(statement, { composed, role }).flatMap((splice) => {
    const [start, end] = [splice.start, splice.end].map((index) => composed.toSourceIndex(index))
    if (start === undefined || end === undefined) return []
    const isAsWritten =
      source.text.slice(start, end) === composed.text.slice(splice.start, splice.end)
    return isAsWritten ? [{ ...splice, start, end, pointsTo: start }] : []
  })
}

function frozenInOrder(splices: readonly Splice[]): readonly Splice[] {
  const inOrder = [...splices].sort((one, other) => one.start - other.start)
  return Object.freeze(inOrder.map((splice) => Object.freeze(splice)))
}

function parse(source: Source, composed: ComposedText, parser: PostgresParser): RawStmt[] {
  const outcome = parser.parse(composed.text)
  switch (outcome.kind) {
    case 'parsed':
      return outcome.result.stmts ?? []
    case 'refused':
      throw syntaxError(composed, outcome.message, outcome.character)
    case 'too-deep':
      throw errorAt(source, 0, 'OUT_OF_RESOURCES', 'the statement nests too deeply', {
        sqlState: '54001',
        hint: 'Use fewer operators in a row, or lists such as = ANY ($1).',
      })
  }
}

function syntaxError(composed: ComposedText, message: string, character: number): DbError {
  const index = indexOfCharacter(composed.text, character)
  const hint = syntaxHint(message, composed.text, index)
  return new DbError('SYNTAX_ERROR', message, { ...composed.toCallerPosition(character + 1), hint })
}

function judge(
  source: Source,
  composed: ComposedText,
  statements: RawStmt[],
  context: PlanContext,
): Traits {
  const statement = onlyStatement(statements)
  if (statement === undefined) {
    throw errorAt(source, 0, 'SYNTAX_ERROR', 'expected exactly one statement')
  }
  const verdict = checkStatement(statement, context)
  if (verdict.kind === 'refused') throw refusalError(composed, verdict.refusal)
  return verdict.traits
}

function refusalError(composed: ComposedText, refusal: Refusal): DbError {
  const { code, message, hint, byte } = refusal
  const index = byte === undefined || byte < 0 ? 0 : indexOfByte(composed.text, byte)
  const characters = Array.from(composed.text.slice(0, index)).length
  return new DbError(code, message, { ...composed.toCallerPosition(characters + 1), hint })
}

/** PostgreSQL's NAMEDATALEN - 1, in bytes. */
const identifierBytesMax = 63

/**
 * PostgreSQL cuts long names and says so in a NOTICE. Over HTTP nobody would hear it, and two names
 * could silently become one.
 */
function refuseLongNames(reader: TokenReader): void {
  reader.rewind()
  for (let token = reader.take(); token !== undefined; token = reader.take()) {
    const bytes = identifierBytes(reader, token)
    if (bytes <= identifierBytesMax) continue
    const message = `the name has ${bytes} bytes; at most ${identifierBytesMax} are allowed`
    throw errorAt(reader.source, token.start, 'SYNTAX_ERROR', message, { sqlState: '42622' })
  }
}

function identifierBytes(reader: TokenReader, token: Token): number {
  const isName = token.kind === 'word' || token.kind === 'quoted-word'
  // No UTF-16 unit takes more than three bytes.
  if (!isName || (token.end - token.start) * 3 <= identifierBytesMax) return 0
  return Buffer.byteLength(reader.nameOf(token) ?? '')
}
