/**
 * Names of constraints as PostgreSQL chooses them (indexcmds.c, parse_utilcmd.c), for those whose
 * columns it would not name so any more: `todos_title_key`, not `todos__user_id_title_key`.
 */

/** PostgreSQL's NAMEDATALEN - 1, in bytes. */
const nameBytesMax = 63

/** Chooses names that no other constraint of the table has. */
export class ConstraintNames {
  readonly #table: string
  readonly #taken: Set<string>

  /** `taken`: the names that the statement itself gives, and those that the table has. */
  constructor(table: string, taken: readonly string[]) {
    this.#table = table
    this.#taken = new Set(taken)
  }

  choose(columns: readonly string[], label: 'key' | 'fkey' | 'excl'): string {
    for (let pass = 0; ; pass++) {
      const suffix = pass === 0 ? label : `${label}${pass}`
      const name = makeObjectName(this.#table, columns.join('_'), suffix)
      if (this.#taken.has(name)) continue
      this.#taken.add(name)
      return name
    }
  }
}

/** `name1_name2_label`; of the two names the longer is cut until all fits. */
function makeObjectName(name1: string, name2: string, label: string): string {
  const available = nameBytesMax - label.length - 2
  let bytes1 = Buffer.byteLength(name1)
  let bytes2 = Buffer.byteLength(name2)
  while (bytes1 + bytes2 > available) {
    if (bytes1 > bytes2) bytes1--
    else bytes2--
  }
  return `${cut(name1, bytes1)}_${cut(name2, bytes2)}_${label}`
}

/** At most so many bytes, and no half of a character. */
function cut(name: string, bytesMax: number): string {
  let bytes = 0
  let kept = ''
  for (const character of name) {
    bytes += Buffer.byteLength(character)
    if (bytes > bytesMax) break
    kept += character
  }
  return kept
}
