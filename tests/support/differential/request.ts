/** What the differential tests send to both sides, and how a failing sequence is printed. */

export interface Statement {
  readonly text: string
  /** What native PostgreSQL gets instead, where KalamDB has a word of its own. */
  readonly native?: string
  /** The command that KalamDB answers for it, where native PostgreSQL says another. */
  readonly command?: string
  readonly params?: readonly (string | null)[]
  /**
   * Rows are visited in an order that the plan decides, and more than one constraint may break:
   * which of them is named is not PostgreSQL's promise.
   */
  readonly anyConstraint?: boolean
}

/**
 * `each`: every statement commits by itself. `transaction`: one, by the request's field. `text`:
 * the statements bring their own BEGIN and COMMIT.
 */
export interface Request {
  readonly mode: 'each' | 'transaction' | 'text'
  readonly statements: readonly Statement[]
}

export const separator = ';\n'

/** A script that psql and `kalam -f` run. */
export function scriptOf(requests: readonly Request[], side: 'kalam' | 'native'): string {
  return requests.map((request) => requestText(request, side)).join('\n')
}

function requestText({ mode, statements }: Request, side: 'kalam' | 'native'): string {
  const texts = statements.map((statement) => {
    const text = side === 'native' ? (statement.native ?? statement.text) : statement.text
    return `${inlined(text, statement.params ?? [])};`
  })
  return (mode === 'transaction' ? ['BEGIN;', ...texts, 'COMMIT;'] : texts).join('\n')
}

function inlined(text: string, params: readonly (string | null)[]): string {
  return text.replaceAll(/\$(\d+)/gu, (_match, number: string) => {
    const value = params[Number(number) - 1] ?? null
    return value === null ? 'NULL' : `'${value.replaceAll("'", "''")}'`
  })
}
