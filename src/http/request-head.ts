/** What is read of a request's head; valid until the handler returns. */
export interface RequestHead {
  /** Upper case. */
  readonly method: string
  /** Without the query. */
  readonly path: string
  /** As it was sent, without the question mark; empty if there is none. */
  readonly query: string
  /** Of several headers of one name one is taken; empty if there is none. */
  header(lowerCaseName: string): string
  /**
   * A proxy may see the body end elsewhere than we do (several lengths, another encoding than
   * `chunked`), and take what follows for a request of someone else.
   */
  readonly isAmbiguous: boolean
}

/** A URL's path and query. */
export function cutUrl(url: string): Pick<RequestHead, 'path' | 'query'> {
  const queryStart = url.indexOf('?')
  if (queryStart === -1) return { path: url, query: '' }
  return { path: url.slice(0, queryStart), query: url.slice(queryStart + 1) }
}
