import { expect, test } from 'vitest'
import { openTestEngine, rowsOf, unit } from '../../support/engine.js'

/** Statements that make files longer, shorter, anew, or not after all. */
const steps = [
  'insert into t select i, repeat($$x$$, 100) from generate_series(1, 5000) i',
  'begin; insert into t select i, repeat($$y$$, 900) from generate_series(1, 3000) i; rollback',
  'delete from t where i > 1000',
  'vacuum t',
  'insert into t select i, repeat($$z$$, 300) from generate_series(1, 4000) i',
  'truncate t',
  'insert into t select i, $$a$$ from generate_series(1, 2500) i',
  'begin; truncate t; insert into t values (1); rollback',
  'vacuum full t',
  'alter table t alter a type varchar',
  'reindex table t',
  'drop index t_a; create index t_a on t (a)',
  'checkpoint',
  'delete from t',
  'vacuum t',
  'insert into t select i, repeat($$b$$, 2000) from generate_series(1, 300) i',
]

test('PostgreSQL is told the length of each of its files as the disk has it', async () => {
  await using opened = await openTestEngine()
  const run = async (sql: string) => rowsOf(await opened.engine.run(unit(sql)))
  await run('create table t (i int, a text); create index t_a on t (a)')
  for (const step of steps) {
    await run(step)
    // VACUUM keeps what it is told of the length of a file; pg_relation_size asks the disk by name.
    await run('vacuum analyze t')
    const sizes = await run(
      `select relname, relpages * 8192 = pg_relation_size(oid) from pg_class where relname ~ '^t(_a)?$' order by 1`,
    )
    expect(sizes, step).toEqual([
      ['t', 't'],
      ['t_a', 't'],
    ])
  }
})
