import { DbError } from '../errors.js'

/** Longest name in characters. */
export const nameCharactersMax = 63

/** The words of GRANT … TO, which a user's name must not read like. */
const reservedNames = new Set(['user', 'service', 'admin', 'public'])

/** Errors: QUERY_REJECTED, with SQLSTATE 42602 for an impossible name, 42939 for a reserved one. */
export function checkName(name: string): void {
  if (!/^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]+$/u.test(name) || name.trim() !== name) {
    throw new DbError(
      'QUERY_REJECTED',
      'a user name must not be empty, hold control characters, or begin or end with a space',
      { sqlState: '42602' },
    )
  }
  if (Array.from(name).length > nameCharactersMax) {
    throw new DbError(
      'QUERY_REJECTED',
      `a user name can have at most ${nameCharactersMax} characters`,
      { sqlState: '42602' },
    )
  }
  if (reservedNames.has(name.toLowerCase())) {
    throw new DbError('QUERY_REJECTED', `the user name '${name}' is reserved`, {
      sqlState: '42939',
      hint: 'It stands for a role or for everybody in GRANT.',
    })
  }
}
