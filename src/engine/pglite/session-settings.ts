/** What a session that lasts has set; where it is when others use the backend. Names are in lower case. */
export class SessionSettings {
  /** By which the system schema knows whose turn it is. */
  readonly session: number
  #defaults = noSettings
  #changed = noSettings
  #all = noSettings
  /** Those of `defaults` to come, until PostgreSQL has seen them. */
  wanted: ReadonlyMap<string, string> | undefined

  constructor(session: number, wanted: ReadonlyMap<string, string>) {
    this.session = session
    this.wanted = wanted
  }

  /** What RESET goes back to, where that is not the server's. */
  get defaults(): ReadonlyMap<string, string> {
    return this.#defaults
  }

  set defaults(defaults: ReadonlyMap<string, string>) {
    this.#defaults = defaults
    this.#all = new Map([...defaults, ...this.#changed])
  }

  /** What was changed since. */
  get changed(): ReadonlyMap<string, string> {
    return this.#changed
  }

  set changed(changed: ReadonlyMap<string, string>) {
    if (isEqual(changed, this.#changed)) return
    this.#changed = changed
    this.#all = new Map([...this.#defaults, ...changed])
  }

  /** All that are not the server's; another map after each change. */
  get all(): ReadonlyMap<string, string> {
    return this.#all
  }
}

/** The server's own. */
export const noSettings: ReadonlyMap<string, string> = new Map()

function isEqual(left: ReadonlyMap<string, string>, right: ReadonlyMap<string, string>): boolean {
  if (left.size !== right.size) return false
  for (const [name, value] of left) if (right.get(name) !== value) return false
  return true
}
