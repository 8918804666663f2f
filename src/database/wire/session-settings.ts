/** Settings of a session that decide how its statements are read and how long they may take. */
import { refuseSetting } from '../../dialect/setting-rules.js'
import { DbError } from '../../errors.js'
import type { Caller } from '../database.js'

export interface ServerBounds {
  readonly statementTimeoutMs: number
  readonly leaseWaitMs: number
}

/** Refuses what no session may be started with. Errors: STATEMENT_REFUSED, FORBIDDEN. */
export function refuseStartup(settings: ReadonlyMap<string, string>, caller: Caller): void {
  const context = { role: caller.role, readOnly: caller.readOnly, door: 'postgres' } as const
  for (const [name, value] of settings) {
    const values = name.toLowerCase() === 'search_path' ? splitNames(value) : [value]
    const refusal = refuseSetting({ name, values, inFunction: false }, context)
    if (refusal === undefined) continue
    const { code, message, hint } = refusal
    throw new DbError(code, message, { hint })
  }
}

export class SessionSettings {
  readonly #read: () => ReadonlyMap<string, string>
  readonly #bounds: ServerBounds
  #pathText: string | undefined
  #path: readonly string[] = defaultPath

  /** `read`: the values that are not the server's, by lower-case name, as of now. */
  constructor(read: () => ReadonlyMap<string, string>, bounds: ServerBounds) {
    this.#read = read
    this.#bounds = bounds
  }

  /** Schemas in which unqualified names are looked up, in order. The same list while they are. */
  get searchPath(): readonly string[] {
    const text = this.#read().get('search_path')
    if (text !== this.#pathText) {
      this.#pathText = text
      this.#path = text === undefined ? defaultPath : splitNames(text)
    }
    return this.#path
  }

  get isRowSecurityOff(): boolean {
    return this.#read().get('row_security') === 'off'
  }

  /** The client's own; 0 for none. */
  get idleTimeoutMs(): number {
    return durationMs(this.#read().get('idle_in_transaction_session_timeout'))
  }

  /** The client's own; 0 for none. */
  get transactionTimeoutMs(): number {
    return durationMs(this.#read().get('transaction_timeout'))
  }

  /** The smaller of the client's and the server's. */
  get statementTimeoutMs(): number {
    return smaller(this.#bounds.statementTimeoutMs, this.#read().get('statement_timeout'))
  }

  /** The client's own; 0 for none. */
  get lockTimeoutMs(): number {
    return durationMs(this.#read().get('lock_timeout'))
  }

  get leaseWaitMs(): number {
    return smaller(this.#bounds.leaseWaitMs, this.#read().get('lock_timeout'))
  }
}

const defaultPath: readonly string[] = ['public']

function smaller(boundMs: number, setting: string | undefined): number {
  const ms = durationMs(setting)
  return ms === 0 ? boundMs : Math.min(boundMs, ms)
}

/** As PostgreSQL shows a duration: `0`, `200ms`, `5s`, `1min`, `2h`, `1d`; without a unit, ms. */
export function durationMs(text: string | undefined): number {
  if (text === undefined) return 0
  const [, digits = '0', unit = 'ms'] =
    /^\s*(\d+(?:\.\d+)?)\s*(us|ms|s|min|h|d)?\s*$/.exec(text) ?? []
  return Math.round(Number(digits) * (unitMs[unit] ?? 1))
}

const unitMs: Readonly<Record<string, number>> = {
  us: 0.001,
  ms: 1,
  s: 1000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** The names of a list such as search_path, folded as PostgreSQL does. */
export function splitNames(list: string): readonly string[] {
  const names: string[] = []
  for (const [, quoted, plain] of list.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^",\s]+))\s*(?:,|$)/g))
    names.push(quoted === undefined ? (plain ?? '').toLowerCase() : quoted.replaceAll('""', '"'))
  return names
}
