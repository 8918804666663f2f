/** A parameter: text is passed as it is; `json` holds the source text of a JSON object, array or number. */
export type Parameter = null | boolean | string | { readonly json: string }

/**
 * `$1, $2, …` in both readings, because only the parsed SQL tells which one is meant: `[[1, 2]]` is
 * one array for a single statement, and the two parameters of the first of several.
 */
export interface RequestParameters {
  /** For a single statement. */
  readonly single: readonly Parameter[]
  /** For several statements, one list each. Undefined: what was sent is not a list of lists. */
  readonly each: readonly (readonly Parameter[])[] | undefined
}
