import { describe, expect, test } from 'vitest'
import { planSql } from '../../support/dialect.js'

type Trait = 'stateful' | 'query' | 'ddl'

const s = 'stateful'
const q = 'query'
const d = 'ddl'

describe('what a statement does to its surroundings', () => {
  test.each<[string, readonly Trait[]]>([
    ['select 1', [q]],
    ['values (1)', [q]],
    ['table t', [q]],
    ['select 1 union select 2', [q]],
    ['show users', [q]],
    ['describe t', [q]],
    ['select count(*), kalam.uid() from t', [q]],
    ['select 1 into x', [d]],
    ['select 1 into x union select 2', [d]],
    ['select 1 into temp x', [s, d]],
    ['select * from t for update', []],
    ['with x as (insert into t values (1) returning *) select * from x', []],
    ["select nextval('s')", []],
    ["select pg_catalog.setval('s', 1)", []],
    ['select lastval()', [s, q]],
    ["select currval('s')", [s, q]],
    ["select set_config('a.b', 'c', false)", [s]],
    ['select setseed(0.5)', [s]],
    ['select pg_advisory_lock(1)', [s]],
    ['select pg_temp.f()', [s, q]],
    ['select * from pg_temp.t', [s, q]],
    ['select 1::pg_temp.t', [s, q]],
    ["select pg_notify('a', 'b')", []],
    ['insert into t values (1)', []],
    ['insert into t values (1) returning *', []],
    ['explain select 1', []],
    ['show search_path', []],
    ['set search_path = app', [s]],
    ['reset all', [s]],
    ['set local time zone 0', [s]],
    ['begin', [s]],
    ['savepoint a', [s]],
    ['lock t', [s]],
    ['set constraints all deferred', [s]],
    ['declare c cursor for select 1', [s]],
    ['fetch c', [s]],
    ['close c', [s]],
    ["do 'begin end'", [s, d]],
    ['call p()', [s, d]],
    ['create temp table x (a int)', [s, d]],
    ['create temp table x as select 1', [s, d]],
    ['create temp view x as select 1', [s, d]],
    ['create table pg_temp.x (a int)', [s, d]],
    ["create function pg_temp.f() returns int language sql as 'select 1'", [s, d]],
    ['drop table pg_temp.x', [s, d]],
    ['create table x (a int)', [d]],
    ['create table x as select 1', [d]],
    ['create index on x (a)', [d]],
    ['alter table x add b int', [d]],
    ['drop table x', [d]],
    ['create namespace x', [d]],
    ['create extension pg_trgm', [d]],
    ['truncate t', []],
    ['vacuum t', []],
    ['analyze t', []],
    ['grant select on t to user', []],
    ['comment on table t is null', []],
    ['notify x', []],
  ])('%s: %j', (sql, traits) => {
    const plan = planSql(sql)
    expect([s, q, d].filter((trait) => plan[trait as Trait])).toEqual(traits)
  })

  test.each([
    ['begin', 'begin'],
    ['start transaction read only', 'begin'],
    ['commit', 'commit'],
    ['end', 'commit'],
    ['rollback', 'rollback'],
    ['abort', 'rollback'],
    ['savepoint a', 'none'],
    ['rollback to a', 'none'],
    ['release a', 'none'],
    ['select 1', 'none'],
  ])('%s: transaction %s', (sql, transaction) => {
    expect(planSql(sql).transaction).toBe(transaction)
  })

  test.each([
    ['select 1', 'always'],
    ['begin', 'always'],
    ['commit', 'never'],
    ['fetch c', 'never'],
    ['call p()', 'in-block'],
    ["do 'begin perform f(); end'", 'always'],
    ["do language plpgsql 'begin insert into t values (1) on conflict do nothing; end'", 'always'],
    ["do 'begin Commit; end'", 'in-block'],
    ["do E'begin \\x63ommit; end'", 'in-block'],
    ["do 'begin call p(); end'", 'in-block'],
    ["do 'begin do /**/ ''begin end''; end'", 'in-block'],
    ["do 'x' language other", 'in-block'],
  ])('%s: may run again %s', (sql, redoable) => {
    expect(planSql(sql).redoable).toBe(redoable)
  })

  test.each([
    ['select 1', 0],
    ['select $1 + $3', 3],
    ['select \'$9\', "$8" -- $7', 0],
    ['insert into t select $2 where a in (select $10)', 10],
    ['explain select $1', 1],
    ['create table x as select $2', 2],
    ['create function f(int) returns int language sql return $1', 0],
    ["do 'select $1'", 0],
  ])('%s has %i parameters', (sql, count) => {
    expect(planSql(sql).parameterCount).toBe(count)
  })

  test('plans cannot be changed', () => {
    const plan = planSql('grant select on t to user')
    expect(Object.isFrozen(plan)).toBe(true)
    expect(Object.isFrozen(plan.place)).toBe(true)
    expect(Object.isFrozen(plan.splices)).toBe(true)
    expect(Object.isFrozen(plan.splices[0])).toBe(true)
  })
})
