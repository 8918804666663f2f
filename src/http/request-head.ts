/** What is read of a request's head; valid until the handler returns. */
export interface RequestHead {
  /** Upper case. */
  readonly method: string
  /** Without the query. */
  readonly path: string
  /** Of several headers of one name one is taken; empty if there is none. */
  header(lowerCaseName: string): string
  /**
   * A proxy may see the body end elsewhere than we do (several lengths, another encoding than
   * `chunked`), and take what follows for a request of someone else.
   */
  readonly isAmbiguous: boolean
}
