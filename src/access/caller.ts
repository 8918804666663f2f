import type { User } from '../catalog/users.js'

/** What the engine enforces below SQL; the shape of its `Identity`. */
export interface CallerIdentity {
  /** OID of the PostgreSQL role whose rights apply. */
  readonly roleOid: number
  /** What `kalam.uid()` answers. */
  readonly userId: string
  /** Runs in read-only transactions. */
  readonly readOnly: boolean
}

/** Who asks, as proven by a key. */
export interface Caller extends User {
  /** Id of the key that was shown; `local` for this machine's token. */
  readonly keyId: string
  /** The key may only read. */
  readonly readOnly: boolean
  readonly identity: CallerIdentity
}
