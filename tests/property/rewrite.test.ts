import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { composeText } from '#src/dialect/compose-text.js'
import { openPostgresParser } from '#src/dialect/postgres-parser.js'
import { DbError } from '#src/errors.js'
import { positionAt } from '#src/protocol/text-position.js'
import { propertyRuns } from '../support/counts.js'
import { dialect, outcomeOf, planAll } from '../support/dialect.js'
import { rewritten, tables } from '../support/table-shapes.js'

const parser = await openPostgresParser()

const words = fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => text.replace(/\0/g, ''))
const literal = words.map((text) => `'${text.replaceAll("'", "''")}'`)
const comment = words.map((text) => `/* ${text.replace(/\*\/|\/\*/g, '').replace(/[*/]/g, '')} */`)

test('a text that names no managed table reaches the engine byte for byte', () => {
  const searchPath = ['app', 'public']
  for (const plan of planAll(readFileSync('tests/data/chinook.sql', 'utf8'))) {
    if (plan.kind !== 'sql') continue
    const base = composeText(plan, String)
    expect(dialect.rewrite(plan, { tables, searchPath }, base).composed.text).toBe(plan.text)
  }
  const statements = fc.constantFrom(
    'select L, ctid from other C where a = L',
    'insert into other values (L, 1) C on conflict (id) do update set a = L',
    'create table other C (id int primary key default L, a text unique, b int references more)',
    'truncate C other, more cascade',
    'select id, L from other C group by id',
    'alter table other C disable row level security, add b int unique default L',
    'create index on C other (lower(a || L))',
    'with lists as (select L) select * from C lists group by 1',
    'merge into other using more on C true when not matched then insert values (L)',
    'select include deleted C from other where L = L',
  )
  fc.assert(
    fc.property(statements, literal, comment, (statement, text, note) => {
      const sql = statement.replaceAll('L', () => text).replace('C', () => note)
      expect(rewritten(sql).composed.text).toBe(sql)
    }),
    propertyRuns(),
  )
})

test('what is wrong keeps its place, whatever is spliced in before and after it', () => {
  const statements = fc.constantFrom(
    'C insert into grown values (L, 1, needle) C on conflict (id) do nothing',
    'select L, needle C from lists C include deleted as l',
    'select 1 from lists l C include deleted, app.prices C include deleted where L = needle',
    'undelete C from todos where L = needle C returning L',
    'undelete from app.todos as t C where t.id = 1 returning L, needle',
    'create C user table x (id int C primary key, a text unique C default L, check (needle))',
    'create shared table x C (a text default L, b int default needle, primary key C (a))',
    'alter table todos C add a text unique default L, add check (needle C)',
    'select id, title, L from todos C group by id C having needle',
    'merge into grown g using lists C include deleted l on L = L when not matched then insert' +
      ' values (1, 2, needle)',
  )
  fc.assert(
    fc.property(statements, literal, comment, words, (statement, text, note, before) => {
      const sql = statement.replaceAll('L', () => text).replaceAll('C', () => note)
      if (text.includes('needle') || note.includes('needle')) return
      const head = `select '${before.replaceAll("'", "''")}';\n `
      const plan = planAll(head + sql)[1]
      if (plan?.kind !== 'sql') throw new Error('no plan')
      const base = composeText(plan, String)
      const { composed } = dialect.rewrite(plan, { tables, searchPath: ['app'] }, base)
      const found = Array.from(composed.text.slice(0, composed.text.indexOf('needle'))).length
      const whole = head + sql
      expect(composed.toCallerPosition(found + 1)).toEqual(
        positionAt(whole, whole.indexOf('needle', head.length)),
      )
    }),
    propertyRuns(),
  )
})

test('a new table is still grammatical with its keys rewritten', () => {
  const clause = fc.constantFrom(
    ...['unique', 'unique nulls not distinct with (fillfactor = 70)', 'not null', 'null'],
    ...['constraint "C C" unique', 'check (a > f(1, 2))', 'default (1, 2)', 'collate "C"'],
    ...['references lists', 'references app.lists (id) on delete set null on update cascade'],
    ...['references lists match full on delete set default deferrable initially deferred'],
    ...['constraint f references x (id) not deferrable', 'generated always as (1) stored'],
    ...['unique deferrable', 'unique not null', 'references prices (id)'],
  )
  const column = fc.record({ name: words, clauses: fc.array(clause, { maxLength: 4 }) })
  const tableClause = fc.constantFrom(
    ...['unique (id) include (id)', 'foreign key (id) references lists on delete set null'],
    ...['constraint u unique nulls not distinct (id, id)', 'check (id > 0) no inherit'],
    ...['exclude using gist (id with =, (id + 1) with <>) where (id > 0)'],
  )
  const kind = fc.constantFrom('user', 'shared')
  fc.assert(
    fc.property(
      fc.array(column, { maxLength: 4 }),
      fc.array(tableClause, { maxLength: 3 }),
      kind,
      comment,
      (columns, clauses, of, note) => {
        const elements = [
          `id int ${note} primary key ${note}`,
          ...columns.map(({ name, clauses: own }, number) => {
            const quoted = `"${number}${Buffer.from(name).subarray(0, 20).toString('hex')}é"`
            return `${quoted} int ${own.join(` ${note} `)}`
          }),
          ...clauses,
        ]
        const sql = `create ${of} table ${note} x (${elements.join(', ')}) ${note}`
        let text: string
        try {
          ;({ text } = rewritten(sql).composed)
        } catch (error) {
          // What the grammar or the rules refuse; nothing else is thrown.
          expect(error).toBeInstanceOf(DbError)
          return
        }
        expect(outcomeOf(text)).toBe('ok')
      },
    ),
    propertyRuns(),
  )
})

test('any words end in a statement that is grammatical, or in a DbError', () => {
  const parts = fc.constantFrom(
    ...['select * from lists', 'undelete from todos', 'truncate todos', 'include deleted'],
    ...['insert into grown values (1, 2, 3)', 'on conflict (id) do nothing', 'group by id'],
    ...['select id, title from todos', 'where id = 1', 'returning id', 'delete from lists using'],
    ...['select', '*', 'from', 'lists', 'todos', 'grown', 'include', 'deleted', 'as', 'l', ','],
    ...['(', ')', 'join', 'on', 'true', 'where', 'group', 'by', 'id', 'title', '1', 'with'],
    ...['undelete', 'delete', 'update', 'set', '=', 'insert', 'into', 'values', 'returning'],
    ...['truncate', 'create', 'user', 'table', 'unique', 'primary', 'key', 'app.', 'only', ';'],
  )
  fc.assert(
    fc.property(fc.array(parts, { maxLength: 6 }), (list) => {
      let text: string
      try {
        ;({ text } = rewritten(list.join(' ')).composed)
      } catch (error) {
        if (!(error instanceof DbError)) expect(String(error)).toMatch(/a plan of kind|no plan/)
        return
      }
      // By the grammar alone: callers could not name a twin, as this does.
      expect(parser.parse(text).kind).toBe('parsed')
    }),
    propertyRuns(3_000),
  )
})
