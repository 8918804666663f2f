import type { Sequence } from './sequence.js'

/**
 * `I`, `U`, `D`: a row. `S`: the table's columns or key are new from here on. `X`: the table is
 * gone. `G`: some right was granted or revoked, or queries may mean something else: see `isOfMeaning`.
 */
export type ChangeKind = 'I' | 'U' | 'D' | 'S' | 'X' | 'G'

/** A row as it was: PostgreSQL's text of each column in the order of the table, the system's left out. */
export type Image = readonly (string | null)[]

/** A committed change, as the log has it. */
export class Change {
  readonly sequence: Sequence
  /** 0 for G. */
  readonly tableId: number
  /** Of the table's columns; see `kalam.tables`. */
  readonly version: number
  readonly kind: ChangeKind
  /** Whose row it is; null for tables that are not kept per user. */
  readonly owner: string | null
  /** PostgreSQL's number of the transaction. */
  readonly transaction: string
  readonly #oldText: string | null
  readonly #newText: string | null
  #old: Image | undefined
  #new: Image | undefined

  constructor(row: {
    readonly sequence: Sequence
    readonly tableId: number
    readonly version: number
    readonly kind: ChangeKind
    readonly owner: string | null
    readonly transaction: string
    readonly old: string | null
    readonly new: string | null
  }) {
    this.sequence = row.sequence
    this.tableId = row.tableId
    this.version = row.version
    this.kind = row.kind
    this.owner = row.owner
    this.transaction = row.transaction
    this.#oldText = row.old
    this.#newText = row.new
  }

  /** The images as the log has them: equal rows are equal texts. Null for no row. */
  get oldText(): string | null {
    return this.#oldText
  }

  get newText(): string | null {
    return this.#newText
  }

  /** To the same row from another one, or from none. */
  from(old: string | null): Change {
    const { sequence, tableId, version, owner, transaction, newText } = this
    const kind = newText === null ? 'D' : old === null ? 'I' : 'U'
    return new Change({ sequence, tableId, version, kind, owner, transaction, old, new: newText })
  }

  /** The row before; undefined for an insert. */
  get old(): Image | undefined {
    if (this.#oldText !== null) this.#old ??= readImage(this.#oldText)
    return this.#old
  }

  /** The row after; undefined for a delete. */
  get new(): Image | undefined {
    if (this.#newText !== null) this.#new ??= readImage(this.#newText)
    return this.#new
  }
}

/** Whether DDL may have given queries another meaning: it made, replaced or dropped something. */
export function isOfMeaning({ kind, version }: Change): boolean {
  return kind === 'G' && version === 1
}

/** The log's triggers wrote it: a list of texts and nulls. */
function readImage(text: string): Image {
  return JSON.parse(text) as Image
}

/** Changes in the order of their commits. */
export interface ChangeBatch {
  readonly changes: readonly Change[]
  /** All up to here were read, whether there is a change of this number or not. */
  readonly position: Sequence
  /** There were no more when it was read. */
  readonly complete: boolean
}
