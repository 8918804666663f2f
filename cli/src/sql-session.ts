/**
 * Runs statements one after the other, as if over one connection, though HTTP has none: what SET
 * changed is sent again ahead of later statements, and errors are placed where the statement was
 * written, not where it stood in a request.
 */
import { statementKind } from './statement-kind.js'
import { StatementBatches, type Batch, type BatchStatement } from './statement-batches.js'
import type { FoundStatement } from '../../src/protocol/sql-text.js'
import { indexOfCharacter, positionAt } from '../../src/protocol/text-position.js'
import type { Reply, ServerConnection, ServerError, StatementResult } from './server-connection.js'

/** A statement that failed, and where. */
export interface SqlFailure {
  readonly error: ServerError
  readonly status: number
  /** The statement's own text. */
  readonly text: string
  /** UTF-16 index in `text`; absent where the server named no place. */
  readonly index: number | undefined
  /** In the file or input that the statements come from, from 1. */
  readonly line: number
  readonly column: number
}

export interface SqlSessionOptions {
  readonly connection: ServerConnection
  /** How the server is to write rows; asked for each request. */
  readonly rowShape: () => 'object' | 'array'
  /** Takes each result as it comes. */
  readonly onResult: (result: StatementResult) => Promise<void>
}

export class SqlSession {
  readonly #options: SqlSessionOptions
  readonly #batches = new StatementBatches()
  /** SET and RESET statements that were carried out, by the name of what they set, in order. */
  readonly #settings = new Map<string, string>()

  constructor(options: SqlSessionOptions) {
    this.#options = options
  }

  /** Whether a transaction was begun and not ended: nothing of it has been sent yet. */
  get isInTransaction(): boolean {
    return this.#batches.isInTransaction
  }

  /** Takes one statement, and runs what is complete. Throws CliError if the server cannot be reached. */
  async add(statement: FoundStatement, signal?: AbortSignal): Promise<SqlFailure | undefined> {
    return this.#runAll(this.#batches.add(statement), signal)
  }

  /** Runs what is left, complete or not. */
  async flush(signal?: AbortSignal): Promise<SqlFailure | undefined> {
    return this.#runAll(this.#batches.take(), signal)
  }

  /**
   * Runs COPY, whose data `send` carries, with the text it is to send. What was added before must
   * have been flushed. Throws CliError if the server cannot be reached.
   */
  async copy(
    statement: FoundStatement,
    send: (sql: string) => Promise<Reply>,
  ): Promise<SqlFailure | undefined> {
    const { sql, starts } = compose([...this.#settings.values(), statement.text])
    const reply = await send(sql)
    if (reply.kind === 'results') {
      for (const result of reply.results) await this.#options.onResult(result)
      return undefined
    }
    const statements = [{ ...statement, kind: statementKind(statement.text) }]
    const own = starts.slice(this.#settings.size)
    return this.#failed(reply, { statements, isDivisible: true }, sql, own)
  }

  /** Forgets what was not sent: the transaction that was begun. */
  discard(): void {
    this.#batches.take()
  }

  async #runAll(
    batches: readonly Batch[],
    signal: AbortSignal | undefined,
  ): Promise<SqlFailure | undefined> {
    for (const batch of batches) {
      const failure = await this.#run(batch, signal)
      if (failure !== undefined) return failure
    }
    return undefined
  }

  async #run(batch: Batch, signal: AbortSignal | undefined): Promise<SqlFailure | undefined> {
    const { connection, rowShape, onResult } = this.#options
    const { sql, starts } = compose([
      ...this.#settings.values(),
      ...batch.statements.map(({ text }) => text),
    ])
    const request = { sql, rows: rowShape(), namespace: connection.target.namespace }
    const reply = await connection.run(request, signal)
    const settingsSent = this.#settings.size
    if (reply.kind === 'results') {
      this.#remember(batch.statements)
      for (const result of reply.results.slice(settingsSent)) await onResult(result)
      return undefined
    }
    if (isTooLarge(reply) && batch.isDivisible && batch.statements.length > 1) {
      return this.#runAll(halves(batch), signal)
    }
    return this.#failed(reply, batch, sql, starts.slice(settingsSent))
  }

  /** Keeps the settings that were carried out and finds the place of the error. */
  #failed(
    reply: Reply & { kind: 'error' },
    batch: Batch,
    sql: string,
    starts: readonly number[],
  ): SqlFailure {
    const { error, status } = reply
    const at = error.position === undefined ? undefined : indexOfCharacter(sql, error.position - 1)
    const which = failedStatement(error, at, starts, this.#settings.size)
    const statement = batch.statements[which]
    const start = starts[which]
    if (batch.isDivisible) this.#remember(batch.statements.slice(0, Math.max(0, which)))
    // A setting that no longer works would fail every statement after it.
    if (which < 0) this.#settings.clear()
    if (statement === undefined || start === undefined) {
      return { error, status, text: '', index: undefined, line: 1, column: 1 }
    }
    const index = at === undefined || at < start ? undefined : at - start
    return { error, status, text: statement.text, index, ...placeOf(statement, index ?? 0) }
  }

  /** A rollback takes its settings back; a commit keeps them. */
  #remember(statements: readonly BatchStatement[]): void {
    if (statements.some(({ kind }) => kind.transaction === 'rollback')) return
    for (const { kind, text } of statements) {
      if (!kind.isSetting) continue
      const name = settingName(text)
      // Deleted first, so that the order stays the order of the last change.
      if (name === 'all') this.#settings.clear()
      else this.#settings.delete(name)
      this.#settings.set(name, text)
    }
  }
}

/** What `SET [SESSION] name …` or `RESET name` is about; the whole text where it is not plain to see. */
function settingName(text: string): string {
  const match = /^(?:set\s+(?:session\s+)?|reset\s+)([\w.]+)/i.exec(text)
  return match?.[1]?.toLowerCase() ?? text
}

/** One text of several statements, and where in it each starts. */
function compose(texts: readonly string[]): { sql: string; starts: readonly number[] } {
  const starts: number[] = []
  let length = 0
  for (const text of texts) {
    starts.push(length)
    length += text.length + separator.length
  }
  return { sql: texts.join(separator), starts }
}

const separator = ';\n'

/** Refused before anything was carried out, only for its size. */
function isTooLarge({ error }: Reply & { kind: 'error' }): boolean {
  return error.code === 'REQUEST_TOO_LARGE' || error.code === 'TOO_MANY_PARAMETERS'
}

function halves({ statements, isDivisible }: Batch): Batch[] {
  const middle = Math.ceil(statements.length / 2)
  return [
    { statements: statements.slice(0, middle), isDivisible },
    { statements: statements.slice(middle), isDivisible },
  ]
}

/** Which of the batch's statements failed: -1 for a setting, the first where nothing is said. */
function failedStatement(
  error: ServerError,
  index: number | undefined,
  starts: readonly number[],
  settingsSent: number,
): number {
  if (error.statement !== undefined) return error.statement - settingsSent
  return index === undefined ? 0 : starts.findLastIndex((start) => start <= index)
}

function placeOf(statement: BatchStatement, index: number): { line: number; column: number } {
  const inside = positionAt(statement.text, index)
  return {
    line: statement.line + inside.line - 1,
    column: inside.line === 1 ? statement.column + inside.column - 1 : inside.column,
  }
}
