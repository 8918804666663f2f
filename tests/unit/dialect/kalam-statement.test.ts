import { describe, expect, test } from 'vitest'
import type { Plan } from '#src/dialect/plan.js'
import { errorOf, planAll, planOne, planSql } from '../../support/dialect.js'

function withoutPlace(plan: Plan): object {
  return Object.fromEntries(Object.entries(plan).filter(([key]) => key !== 'place'))
}

describe('statements about users and keys', () => {
  test.each<[string, object]>([
    [
      "create user 'alice'",
      { kind: 'create-user', name: 'alice', role: 'user', ifNotExists: false },
    ],
    ['CREATE USER Alice', { kind: 'create-user', name: 'alice', role: 'user', ifNotExists: false }],
    [
      'create user "Al""ice"',
      { kind: 'create-user', name: 'Al"ice', role: 'user', ifNotExists: false },
    ],
    [
      "create user 'o''neil' role service",
      { kind: 'create-user', name: "o'neil", role: 'service', ifNotExists: false },
    ],
    [
      "create user if not exists 'é' with ROLE 'admin'",
      { kind: 'create-user', name: 'é', role: 'admin', ifNotExists: true },
    ],
    [
      "/* a */ create -- b\n user 'table';",
      { kind: 'create-user', name: 'table', role: 'user', ifNotExists: false },
    ],
    ["drop user 'alice'", { kind: 'drop-user', name: 'alice', ifExists: false }],
    ["drop user if exists 'alice'", { kind: 'drop-user', name: 'alice', ifExists: true }],
    ["alter user 'alice' rotate apikey", { kind: 'rotate-key', name: 'alice' }],
    [
      "alter user 'alice' set role service",
      { kind: 'alter-user-role', name: 'alice', role: 'service' },
    ],
    ["alter user 'alice' role user", { kind: 'alter-user-role', name: 'alice', role: 'user' }],
    [
      "create apikey for 'alice'",
      { kind: 'create-key', name: 'alice', expires: undefined, readOnly: false },
    ],
    [
      "create apikey for 'alice' expires '30 days' read only",
      { kind: 'create-key', name: 'alice', expires: '30 days', readOnly: true },
    ],
    ["revoke apikey 'k1'", { kind: 'revoke-key', id: 'k1' }],
  ])('%s', (sql, expected) => {
    expect(withoutPlace(planOne(sql))).toEqual(expected)
  })

  test.each<[string, number, RegExp]>([
    ['create user', 12, /expected the name of a user/],
    ["create user 'a' role boss", 22, /one of the roles user, service, admin, found boss/],
    ["create user 'a' role", 21, /one of the roles/],
    ["create user 'a', 'b'", 16, /expected ROLE or the end of the statement, found ,/],
    ["create user if 'a'", 16, /expected/],
    ["drop user 'a' cascade", 15, /expected the end of the statement, found cascade/],
    ["alter user 'a'", 15, /expected ROTATE APIKEY or ROLE at the end/],
    ["alter user 'a' rotate key", 23, /expected APIKEY, found key/],
    ["create apikey 'a'", 15, /expected FOR/],
    ["create apikey for 'a' expires 30", 31, /time span such as '30 days', found 30/],
    ["create apikey for 'é' readonly", 23, /expected EXPIRES, READ ONLY or the end/],
    ['revoke apikey k1', 15, /id in single quotes/],
    ["create user E'a'", 13, /expected the name of a user/],
    ["execute as 'a' select 1", 16, /expected \( and a statement, found select/],
    ["execute as 'a' (select (1)", 27, /expected \) at the end/],
    ["execute as 'a' ()", 17, /expected a statement between/],
    ["execute as 'a' (select 1) x", 27, /expected the end of the statement, found x/],
    ['describe', 9, /expected the name of a table/],
    ['describe a.b.c', 13, /expected . or the end/],
    ['show tables in', 15, /name of a namespace/],
    ['show users x', 12, /expected the end of the statement, found x/],
  ])('%s is a syntax error at %i', (sql, position, message) => {
    const error = errorOf(sql)
    expect(error.code).toBe('SYNTAX_ERROR')
    expect(error.message).toMatch(message)
    expect(error.fields.position).toBe(position)
  })

  test.each([
    "create user bob password 'x'",
    'create user bob with login',
    'create user bob superuser',
    'create user bob in role x',
    "alter user bob password 'x'",
    'alter user bob rename to alice',
    'alter user bob set search_path = x',
  ])('%s is refused with a hint to ours', (sql) => {
    const error = errorOf(sql)
    expect(error.code).toBe('STATEMENT_REFUSED')
    expect(error.fields.hint).toContain("CREATE USER 'alice'")
    expect(error.fields.position).toBeGreaterThan(1)
  })

  test.each(['user', 'shared', 'stream'])('CREATE %s TABLE makes no user', (kind) => {
    const ttl = kind === 'stream' ? " ttl '1 hour'" : ''
    const plan = planSql(`create ${kind} table if not exists app.t (id int primary key)${ttl}`)
    expect(plan.words.creates?.kind).toBe(kind)
  })

  test.each(['user', 'service'] as const)('role %s manages no users', (role) => {
    for (const sql of [
      "create user 'a'",
      "drop user 'a'",
      "create apikey for 'a'",
      "revoke apikey 'a'",
    ]) {
      expect(errorOf(sql, { role }).code).toBe('FORBIDDEN')
    }
  })

  test('a key that may only read manages no users', () => {
    expect(errorOf("create user 'a'", { readOnly: true }).code).toBe('FORBIDDEN')
  })

  test('a role called apikey can still be named', () => {
    expect(planOne('revoke all on t from x').kind).toBe('sql')
    expect(errorOf('revoke apikey from x').code).toBe('STATEMENT_REFUSED')
  })
})

describe('EXECUTE AS', () => {
  test.each(['service', 'admin'] as const)(
    '%s may act for a user, with the rights of one',
    (role) => {
      const plan = planOne("execute as 'alice' (insert into t values ($1, (2)))", { role })
      expect(plan).toMatchObject({
        kind: 'execute-as',
        name: 'alice',
        inner: { kind: 'sql', text: 'insert into t values ($1, (2))', parameterCount: 1 },
      })
    },
  )

  test('the inner statement stands at its place in the text', () => {
    const second = planAll("select 'é😀';\n execute as 'é'\n  (select 1)")[1]
    expect(second).toMatchObject({
      place: { line: 2, column: 2 },
      inner: { place: { line: 3, column: 4 } },
    })
  })

  test('a user may not', () => {
    expect(errorOf("execute as 'bob' (select 1)", { role: 'user' }).code).toBe('FORBIDDEN')
  })

  test.each<[string, string]>([
    ["execute as 'a' (create table t (a int))", 'FORBIDDEN'],
    ["execute as 'a' (execute as 'b' (select 1))", 'STATEMENT_REFUSED'],
    ["execute as 'a' (begin)", 'STATEMENT_REFUSED'],
    ["execute as 'a' (set app.x = 1)", 'STATEMENT_REFUSED'],
    ["execute as 'a' (set role x)", 'STATEMENT_REFUSED'],
    ["execute as 'a' (create temp table t (a int))", 'STATEMENT_REFUSED'],
    ["execute as 'a' (do 'begin end')", 'FORBIDDEN'],
    ["execute as 'a' (create user 'b')", 'FORBIDDEN'],
    ["execute as 'a' (declare c cursor for select 1)", 'STATEMENT_REFUSED'],
    ["execute as 'a' (explain analyze select 1)", 'FORBIDDEN'],
    ["execute as 'a' (grant select on t to user)", 'FORBIDDEN'],
    ["execute as 'a' (select 1; select 2)", 'SYNTAX_ERROR'],
  ])('%s is %s', (sql, code) => {
    expect(errorOf(sql).code).toBe(code)
  })

  test('a key that may only read stays so', () => {
    expect(errorOf("execute as 'a' (delete from t)", { readOnly: true }).code).toBe('FORBIDDEN')
    expect(planOne("execute as 'a' (select 1)", { readOnly: true }).kind).toBe('execute-as')
  })
})
