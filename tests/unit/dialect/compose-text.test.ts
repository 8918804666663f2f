import { describe, expect, test } from 'vitest'
import { composeText } from '#src/dialect/compose-text.js'
import { planAll, planSql } from '../../support/dialect.js'

const roleOf = (name: string) => `kalam_u_${name}`
const composed = (sql: string) => composeText(planSql(sql), roleOf).text

describe('the text that PostgreSQL gets', () => {
  test.each<[string, string]>([
    ['select 1', 'select 1'],
    ['create namespace if not exists app', 'create schema if not exists app'],
    ['DROP /* x */ NAMESPACE app CASCADE', 'DROP /* x */ schema app CASCADE'],
    ['grant select on t to user', 'grant select on t to kalam_user'],
    [
      'grant select on t to USER, service, admin',
      'grant select on t to kalam_user, kalam_service, kalam_admin',
    ],
    [
      'grant select (a) on t to group user with grant option',
      'grant select (a) on t to group kalam_user with grant option',
    ],
    ["grant select on t to 'al''ice', public", `grant select on t to "kalam_u_al'ice", public`],
    [
      "revoke grant option for all on t from 'a\"b' cascade",
      'revoke grant option for all on t from "kalam_u_a""b" cascade',
    ],
    ['grant select on t to "user"', 'grant select on t to "user"'],
    ['grant select on t to bob', 'grant select on t to bob'],
    ['grant select on "to" to user', 'grant select on "to" to kalam_user'],
    [
      'alter default privileges in schema a revoke all on tables from user',
      'alter default privileges in schema a revoke all on tables from kalam_user',
    ],
    [
      "create policy p on t for select to 'a' using (b = 'to user')",
      `create policy p on t for select to "kalam_u_a" using (b = 'to user')`,
    ],
    ['alter policy p on t rename to "user"', 'alter policy p on t rename to "user"'],
    ['alter policy p on t to user', 'alter policy p on t to kalam_user'],
    ['SHOW NAMESPACES', 'select * from system.namespaces order by name'],
    ['show tables', 'select * from system.tables order by namespace, name'],
    [
      'show tables in "a\'b"',
      "select * from system.tables where namespace = 'a''b' order by namespace, name",
    ],
    ['show users', 'select * from system.users order by name'],
    ['show apikeys', 'select * from system.apikeys order by name, created_at, id'],
    ['show config', 'select * from system.config'],
    ['show search_path', 'show search_path'],
  ])('%s', (sql, text) => {
    expect(composed(sql)).toBe(text)
  })

  test.each<[string, string]>([
    ['describe app.todos', "'app.todos'::pg_catalog.regclass"],
    ['DESCRIBE TABLE todos', "'todos'::pg_catalog.regclass"],
    ['describe "a\'b" . "C"', `'"a''b" . "C"'::pg_catalog.regclass`],
  ])('%s looks the name up as PostgreSQL does', (sql, part) => {
    expect(composed(sql)).toContain(part)
  })

  test('what the catalog says of an unknown user passes through', () => {
    const plan = planSql("grant select on t to 'nobody'")
    const unknown = () => {
      throw new Error('no such user')
    }
    expect(() => composeText(plan, unknown)).toThrow('no such user')
  })
})

describe('the way back from its positions', () => {
  const backFrom = (sql: string, statement: number, needle: string) => {
    const plan = planAll(sql)[statement]
    if (plan?.kind !== 'sql') throw new Error('not SQL')
    const composed = composeText(plan, roleOf)
    const { text } = composed
    return composed.toCallerPosition(Array.from(text.slice(0, text.indexOf(needle))).length + 1)
  }

  test('a statement further on in the text', () => {
    expect(backFrom("select 'é😀';\n\n select x", 1, 'x')).toEqual({
      position: 23,
      line: 3,
      column: 9,
    })
  })

  test('before, inside and after a splice', () => {
    const sql = "grant select on é😀 to user, 'alice', bob"
    expect(backFrom(sql, 0, 'é😀').position).toBe(17)
    expect(backFrom(sql, 0, 'kalam_user').position).toBe(23)
    expect(backFrom(sql, 0, 'user,').position).toBe(23)
    expect(backFrom(sql, 0, '"kalam_u_alice').position).toBe(29)
    expect(backFrom(sql, 0, 'alice').position).toBe(29)
    expect(backFrom(sql, 0, 'bob').position).toBe(38)
  })

  test('the name in DESCRIBE', () => {
    expect(backFrom('select 1; describe table app.t', 1, "'app.t'").position).toBe(26)
  })

  test('past the end', () => {
    const plan = planSql('select 1')
    expect(composeText(plan, roleOf).toCallerPosition(100).position).toBe(9)
  })
})
