import { DbError } from '../../src/errors.js'

export interface Login {
  readonly user: string
  /** The password; empty if there is none. */
  readonly key: string
  readonly database: string
}

/**
 * `postgres://user:key@host/database?…`. Of the parameters after it only `options` would change what
 * a statement means: it is refused unless it is Neon's own `endpoint=…`. Undefined: the text is no
 * such URL. Errors: STATEMENT_REFUSED.
 */
export function parseConnectionString(text: string): Login | undefined {
  const url = /^postgres(?:ql)?:\/\//.test(text) ? urlOf(text) : undefined
  if (url === undefined) return undefined
  const options = url.searchParams.get('options') ?? ''
  if (options !== '' && !/^(?:endpoint|project)=\S*$/.test(options))
    throw new DbError('STATEMENT_REFUSED', 'options of the connection string are not taken', {
      hint: 'A request is a session of its own: SET within a transaction, or name the schema.',
    })
  return {
    user: decoded(url.username),
    key: decoded(url.password),
    database: decoded(url.pathname.slice(1)),
  }
}

/** As http: other schemes have no host of their own in the rules of URLs. */
function urlOf(text: string): URL | undefined {
  const httpText = text.replace(/^[a-z]+/, 'http')
  return URL.canParse(httpText) ? new URL(httpText) : undefined
}

/** What is wrongly encoded is nobody's name or key. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
