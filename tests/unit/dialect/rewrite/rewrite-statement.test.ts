import { describe, expect, test } from 'vitest'
import { rewriteErrorOf, rewritten } from '../../../support/table-shapes.js'

const twinned = (columns: string, name: string, twin: string) =>
  `(select ${columns}, false as _deleted, null::pg_catalog.timestamptz as _deleted_at, ` +
  `null::pg_catalog.text as _deleted_by from ${name} union all ` +
  `select ${columns}, true, _deleted_at, _deleted_by from kalam_deleted.${twin})`
const lists = twinned('"id", "name", "_user_id"', 'lists', 't2')
const prices = twinned('"id", "price"', 'app.prices', 't4')
const words = ' '.repeat('INCLUDE DELETED'.length)
const owner = '_user_id text not null default kalam.uid()'
const deleted = '_deleted boolean not null generated always as (false) stored'

describe('CREATE USER, SHARED and STREAM TABLE', () => {
  test.each<[string, string]>([
    [
      'create user table x (id int primary key)',
      `create      table x (id int , primary key (_user_id, "id"), ${owner}, ${deleted})`,
    ],
    [
      'create shared table x (id int primary key, a int unique)',
      `create        table x (id int primary key, a int unique, ${deleted})`,
    ],
    [
      "create stream table x (id int primary key) ttl '1 hour'",
      `create        table x (id int , primary key (_user_id, "id"), ${owner},` +
        ` _expires_at timestamptz not null default (now() + interval '1 hour'))` +
        ' '.repeat(13),
    ],
    [
      'create user table if not exists x (a int, b int, primary key (a, b), unique (b) include (a))',
      'create      table if not exists x (a int, b int, primary key (_user_id, a, b), ' +
        `constraint "x_b_key" unique (_user_id, b) include (a), ${owner}, ${deleted})`,
    ],
    [
      'create user table x (id int constraint p primary key with (fillfactor = 70) deferrable,' +
        ' a text unique nulls not distinct not null collate "C", b int unique unique)',
      'create      table x (id int , constraint p primary key (_user_id, "id")' +
        ' with (fillfactor = 70) deferrable, a text  not null collate "C",' +
        ' constraint "x_a_key" unique nulls not distinct (_user_id, "a"), b int  , ' +
        'constraint "x_b_key" unique (_user_id, "b"), ' +
        `constraint "x_b_key1" unique (_user_id, "b"), ${owner}, ${deleted})`,
    ],
    [
      'create user table x (id int primary key, a int references lists on delete cascade,' +
        ' b int references app.lists (id) match full on delete set null deferrable,' +
        ' c int references x (id), d int references prices)',
      'create      table x (id int , primary key (_user_id, "id"), a int , ' +
        'constraint "x_a_fkey" foreign key (_user_id, "a") references lists on delete cascade, ' +
        'b int , constraint "x_b_fkey" foreign key (_user_id, "b") references app.lists (_user_id, "id")' +
        ' match simple on delete set null ("b") deferrable, c int , ' +
        'constraint "x_c_fkey" foreign key (_user_id, "c") references x (_user_id, "id"), ' +
        `d int references prices, ${owner}, ${deleted})`,
    ],
    [
      'create user table x (id int primary key, a int, constraint f foreign key (a)' +
        ' references lists (id) on delete set default (a), foreign key (a) references lists' +
        ' on delete set default, exclude using gist (a with =))',
      'create      table x (id int , primary key (_user_id, "id"), a int, constraint "f" foreign key (_user_id, "a")' +
        ' references lists (_user_id, "id") on delete set default (a), ' +
        'constraint "x_a_fkey" foreign key (_user_id, "a") references lists' +
        ' on delete set default ("a"), ' +
        'constraint "x_a_excl" exclude using gist (_user_id with =, a with =), ' +
        `${owner}, ${deleted})`,
    ],
  ])('%s', (sql, text) => {
    expect(rewritten(sql).composed.text).toBe(text)
  })

  test('names constraints as PostgreSQL does, cut to 63 bytes', () => {
    const column = 'ö'.repeat(20)
    const { composed } = rewritten(
      `create user table ${'t'.repeat(40)} (id int primary key, ${column} int unique)`,
    )
    expect(composed.text).toContain(`constraint "${'t'.repeat(29)}_${'ö'.repeat(14)}_key"`)
  })

  test.each<[string, string, number]>([
    ['create user table x (id int)', 'needs a primary key', 19],
    ['create shared table x (id int)', 'needs a primary key', 21],
    ["create stream table x (id int) ttl '1 s'", 'needs a primary key', 21],
    ['create user table x (id int primary key, _user_id text)', '_user_id is reserved', 42],
    ['create shared table x (id int primary key, _deleted_at int)', 'is reserved', 44],
    ['create user table x as select 1', 'AS is refused', 19],
    ['create user table x (id int primary key) inherits (y)', 'INHERITS', 19],
    ['create user table x (id int primary key) partition by list (id)', 'PARTITION BY', 19],
    ['create user table x partition of y default', 'PARTITION OF', 19],
    ['create user table x of y', 'OF a type', 19],
    ['create user table pg_temp.x (id int primary key)', 'TEMPORARY', 19],
    ['create user table x (like y)', 'LIKE', 27],
    ['create shared table x (like prices, primary key (id))', 'LIKE of a managed', 29],
    ['create user table x (id int primary key references pings)', 'its rows expire', 52],
    ['create shared table x (id int primary key references todos)', 'SHARED table to a USER', 54],
    ['create table x (id int references todos)', 'plain table to a USER', 35],
    ['create table x () inherits (prices)', 'managed table', 29],
    [
      'create user table x (a int, b int, primary key (a, b without overlaps))',
      'WITHOUT OVERLAPS',
      36,
    ],
    [
      'create user table x (a int primary key references lists on update set null)',
      'ON UPDATE SET NULL',
      40,
    ],
    [
      'create user table x (a int primary key, b int, foreign key (a, b) references lists (id, z) match full)',
      'MATCH FULL',
      48,
    ],
  ])('%s is refused', (sql, message, position) => {
    const error = rewriteErrorOf(sql)
    expect(error.code).toBe('STATEMENT_REFUSED')
    expect(error.message).toContain(message)
    expect(error.fields.position).toBe(position)
  })

  test.each([
    'create stream table x (id int primary key)',
    'create stream table x (id int primary key) ttl 5',
    'create temp user table x (id int primary key)',
  ])('%s is a syntax error', (sql) => {
    expect(rewriteErrorOf(sql).code).toBe('SYNTAX_ERROR')
  })
})

describe('INCLUDE DELETED', () => {
  test.each<[string, string]>([
    ['select * from lists INCLUDE DELETED', `select * from ${lists} as "lists" ${words}`],
    ['select * from lists l INCLUDE DELETED', `select * from ${lists} l ${words}`],
    ['select * from lists INCLUDE DELETED as l (a)', `select * from ${lists} ${words} as l (a)`],
    ['select * from lists l (a) INCLUDE DELETED', `select * from ${lists} l (a) ${words}`],
    [
      'select app.lists.id from lists INCLUDE DELETED where app . lists.name = 1',
      `select lists.id from ${lists} as "lists" ${words} where  lists.name = 1`,
    ],
    [
      'select * from todos join app.prices INCLUDE DELETED p on true',
      `select * from todos join ${prices} ${words} p on true`,
    ],
    [
      'with lists as (select * from lists INCLUDE DELETED) select * from lists',
      `with lists as (select * from ${lists} as "lists" ${words}) select * from lists`,
    ],
    [
      'select (select 1 from lists INCLUDE DELETED limit 1)',
      `select (select 1 from ${lists} as "lists" ${words} limit 1)`,
    ],
    [
      'update todos set title = l.name from lists INCLUDE DELETED l',
      `update todos set title = l.name from ${lists} ${words} l`,
    ],
    [
      'delete from todos using lists INCLUDE DELETED where true',
      `delete from todos using ${lists} as "lists" ${words} where true`,
    ],
    [
      'merge into todos using lists INCLUDE DELETED l on true when matched then delete',
      `merge into todos using ${lists} ${words} l on true when matched then delete`,
    ],
    ['select include deleted from x', 'select include deleted from x'],
    ['select * from include deleted', 'select * from include deleted'],
    ['update include deleted set a = 1', 'update include deleted set a = 1'],
    [
      "create policy p on x to user using (exists (select from lists INCLUDE DELETED where 'é' = ''))",
      `create policy p on x to kalam_user using (exists (select from ${lists} as "lists" ${words} where 'é' = ''))`,
    ],
  ])('%s', (sql, text) => {
    expect(rewritten(sql).composed.text).toBe(text)
  })

  test.each<[string, string, string, number]>([
    ['select * from watched include deleted', 'STATEMENT_REFUSED', 'no USER or SHARED', 15],
    ['select * from pings include deleted', 'STATEMENT_REFUSED', 'a STREAM table', 15],
    ['select * from only lists include deleted', 'STATEMENT_REFUSED', 'ONLY', 20],
    [
      'select * from lists include deleted tablesample system (1)',
      'STATEMENT_REFUSED',
      'TABLESAMPLE',
      15,
    ],
    [
      'with x as (select) select * from x include deleted',
      'STATEMENT_REFUSED',
      'no USER or SHARED',
      34,
    ],
    ['update lists include deleted set name = 1', 'SYNTAX_ERROR', 'FROM or USING', 14],
    ['delete from lists include deleted', 'SYNTAX_ERROR', 'FROM or USING', 19],
    ['insert into lists include deleted values (1)', 'SYNTAX_ERROR', 'FROM or USING', 19],
    ['select * from f() include deleted', 'SYNTAX_ERROR', 'FROM or USING', 19],
    ['table lists include deleted', 'SYNTAX_ERROR', 'FROM or USING', 13],
    ['lock table lists include deleted', 'SYNTAX_ERROR', 'FROM or USING', 18],
    ['truncate lists include deleted', 'SYNTAX_ERROR', 'FROM or USING', 16],
    ['select * from lists l for update of l include deleted', 'SYNTAX_ERROR', 'FROM or USING', 39],
    ['create table x () inherits (lists include deleted)', 'SYNTAX_ERROR', 'FROM or USING', 35],
    ['select * from (select 1) x include deleted', 'SYNTAX_ERROR', 'FROM or USING', 28],
  ])('%s is an error', (sql, code, message, position) => {
    const error = rewriteErrorOf(sql)
    expect(error.code).toBe(code)
    expect(error.message).toContain(message)
    expect(error.fields.position).toBe(position)
  })

  test.each([
    ["select 'é', * from app.nothing include deleted n where $1", 'INCLUDE DELETED is refused'],
    [
      "create view v as select 'é', 1 from app.nothing include deleted",
      'INCLUDE DELETED is refused',
    ],
    ['undelete from app.nothing as n where n.id = 1 returning n.id', 'UNDELETE is refused'],
  ])('of what the catalog does not know asks PostgreSQL whether it exists: %s', (sql, message) => {
    const { composed, refusal } = rewritten(sql)
    expect(composed.text).toBe('select from app.nothing limit 0')
    const { position } = composed.toCallerPosition(composed.text.indexOf('app') + 1)
    expect(position).toBe(sql.indexOf('app') + 1)
    expect(refusal?.fields.position).toBe(position)
    expect(refusal?.code).toBe('STATEMENT_REFUSED')
    expect(refusal?.message).toContain(message)
  })

  test('an error inside points at the table, one behind it at its own place', () => {
    const sql = "select 'é', x from lists INCLUDE DELETED where nope"
    const { composed } = rewritten(sql)
    const positionOf = (needle: string) =>
      composed.toCallerPosition(Array.from(composed.text.split(needle)[0] ?? '').length + 1)
    expect(positionOf('union').position).toBe(20)
    expect(positionOf('nope').position).toBe(48)
  })
})

describe('UNDELETE', () => {
  test('takes the newest deleted row of each key', () => {
    const { composed, command } = rewritten(
      "undelete from app.todos t where t.id = 1 and title like '%é' returning t.id",
    )
    expect(composed.text).toBe(
      'with _undeleted as (delete from kalam_deleted.t1 where ctid in ' +
        '(select distinct on ("t"."_user_id", "t"."id") "t".ctid from kalam_deleted.t1 as "t"' +
        " where t.id = 1 and title like '%é' " +
        ' order by "t"."_user_id", "t"."id", "t"._deleted_seq desc)' +
        ' returning "id", "title", "list_id", "_user_id") insert into app.todos as "t"' +
        ' ("id", "title", "list_id", "_user_id") overriding system value' +
        ' select "id", "title", "list_id", "_user_id" from _undeleted returning t.id',
    )
    expect(command).toBe('UNDELETE')
  })

  test('columns may be written with the namespace', () => {
    const { text } = rewritten('UNDELETE FROM app.todos WHERE app.todos.id = 1').composed
    expect(text).toContain('from kalam_deleted.t1 as "todos" WHERE todos.id = 1')
  })

  test('its table and its condition keep their places', () => {
    const { composed } = rewritten('undelete from prices where nope')
    const at = (needle: string) =>
      composed.toCallerPosition(composed.text.indexOf(needle) + 1).position
    expect(at('nope')).toBe(28)
    expect(at('insert')).toBe(15)
  })

  test.each<[string, string]>([
    ['undelete from pings', 'a STREAM table'],
    ['undelete from watched', 'no USER or SHARED'],
    ['undelete from todos using lists', 'USING'],
    ['undelete from only todos', 'ONLY'],
    ['undelete from todos *', 'takes no *'],
    ['undelete from todos where current of c', 'CURRENT OF'],
  ])('%s is refused', (sql, message) => {
    const error = rewriteErrorOf(sql)
    expect(error.code).toBe('STATEMENT_REFUSED')
    expect(error.message).toContain(message)
  })

  test.each(['undelete todos', 'undelete from', 'undelete from todos include deleted'])(
    '%s is a syntax error',
    (sql) => {
      expect(rewriteErrorOf(sql).code).toBe('SYNTAX_ERROR')
    },
  )

  test('is a write', () => {
    expect(rewriteErrorOf('undelete from todos', { readOnly: true }).code).toBe('FORBIDDEN')
  })
})

describe('INSERT, MERGE and indexes', () => {
  test.each<[string, string]>([
    ['insert into todos values (1, 2)', 'insert into todos values (1, 2)'],
    ['insert into todos select * from x', 'insert into todos select * from x'],
    [
      'insert into todos select t.* from todos as t union all select * from todos',
      'insert into todos select "t"."id", "t"."title", "t"."list_id"' +
        ' from todos as t union all select "todos"."id", "todos"."title", "todos"."list_id" from todos',
    ],
    [
      'insert into grown select id, g.* from grown g',
      'insert into grown ("id", "title", "note") select id, "g"."id", "g"."title", "g"."note" from grown g',
    ],
    [
      'with todos as (select 1) insert into prices select * from todos',
      'with todos as (select 1) insert into prices select * from todos',
    ],
    [
      'insert into prices table prices',
      'insert into prices select "prices"."id", "prices"."price" from prices',
    ],
    [
      'with "table" as (table lists) insert into grown ((table /* table */ only (app.grown) limit 1) union table grown)',
      'with "table" as (table lists) insert into grown ("id", "title", "note") ((select "grown"."id", "grown"."title", "grown"."note" from /* table */ only (app.grown) limit 1) union select "grown"."id", "grown"."title", "grown"."note" from grown)',
    ],
    [
      'insert into todos values (1, 2, 3, 4)',
      'insert into todos ("id", "title", "list_id") values (1, 2, 3, 4)',
    ],
    ['insert into grown values (1, 2)', 'insert into grown values (1, 2)'],
    [
      'insert into grown values (1, 2, 3)',
      'insert into grown ("id", "title", "note") values (1, 2, 3)',
    ],
    [
      'insert into app.grown as g (select 1, 2, 3 union select 1, 2, 3)',
      'insert into app.grown as g ("id", "title", "note") (select 1, 2, 3 union select 1, 2, 3)',
    ],
    ['insert into grown (id) values (1)', 'insert into grown (id) values (1)'],
    ['insert into grown default values', 'insert into grown default values'],
    [
      'insert into todos values (1) on conflict (id) do nothing',
      'insert into todos values (1) on conflict (_user_id, id) do nothing',
    ],
    [
      'insert into todos values (1) on conflict (_user_id, id) do nothing',
      'insert into todos values (1) on conflict (_user_id, id) do nothing',
    ],
    [
      'insert into prices values (1) on conflict (id) do nothing',
      'insert into prices values (1) on conflict (id) do nothing',
    ],
    [
      'with x as (insert into todos values (1) on conflict (id) do nothing) select 1',
      'with x as (insert into todos values (1) on conflict (_user_id, id) do nothing) select 1',
    ],
    [
      'merge into grown g using x on true when not matched and (case when a then b end) then insert values (1, 2, 3)',
      'merge into grown g using x on true when not matched and (case when a then b end) then insert ("id", "title", "note") values (1, 2, 3)',
    ],
    ['create index on todos (title)', 'create index on todos (_user_id, title)'],
    [
      'create unique index i on todos using btree ((lower(title)))',
      'create unique index i on todos using btree (_user_id, (lower(title)))',
    ],
    ['create index on todos using gin (title)', 'create index on todos using gin (title)'],
    ['create index on prices (price)', 'create index on prices (price)'],
    [
      'create function f() returns int begin atomic insert into todos values (1) on conflict (id) do nothing; select 1; end',
      'create function f() returns int begin atomic insert into todos values (1) on conflict (_user_id, id) do nothing; select 1; end',
    ],
    [
      'insert into "Tödo""s" values (1) on conflict (id) do nothing',
      'insert into "Tödo""s" values (1) on conflict (_user_id, id) do nothing',
    ],
  ])('%s', (sql, text) => {
    expect(rewritten(sql).composed.text).toBe(text)
  })

  test('INSERT … SELECT * is refused where columns were added', () => {
    const error = rewriteErrorOf('insert into grown select * from x')
    expect(error.fields.position).toBe(13)
    expect(error.fields.hint).toContain('Name the columns')
  })
})

describe('ALTER TABLE', () => {
  test.each<[string, string]>([
    [
      'alter table todos add unique (title), add constraint c unique (title)',
      'alter table todos add constraint "todos_title_key" unique (_user_id, title), add constraint c unique (_user_id, title)',
    ],
    [
      'alter table todos add unique (taken), add unique (taken)',
      'alter table todos add constraint "todos_taken_key1" unique (_user_id, taken), add constraint "todos_taken_key2" unique (_user_id, taken)',
    ],
    [
      'alter table todos add column a int unique default f(1, 2), add b int references lists',
      'alter table todos add column a int  default f(1, 2), add constraint "todos_a_key" unique (_user_id, "a"), add b int , add constraint "todos_b_fkey" foreign key (_user_id, "b") references lists',
    ],
    [
      'alter table todos add foreign key (list_id) references lists (id) on delete set null not valid',
      'alter table todos add constraint "todos_list_id_fkey" foreign key (_user_id, "list_id") references lists (_user_id, "id") on delete set null ("list_id") not valid',
    ],
    ['alter table todos add check (id > 0)', 'alter table todos add check (id > 0)'],
    ['alter table prices add unique (price)', 'alter table prices add unique (price)'],
    ['alter table todos disable trigger mine', 'alter table todos disable trigger mine'],
    ['alter table todos rename title to name', 'alter table todos rename title to name'],
    // As pg_dump --clean writes it, and nobody else.
    [
      'alter table only todos drop constraint todos_pkey',
      `call kalam.keep_primary_key('"app"."todos"')`,
    ],
    [
      'alter table if exists only app."Tödo""s" drop constraint if exists "Tödo""s_pkey"',
      `call kalam.keep_primary_key('"app"."Tödo""s"')`,
    ],
    ...[
      'alter table todos drop constraint todos_pkey',
      'alter table only todos drop constraint todos_title_key',
      'alter table only todos drop constraint todos_pkey, drop title',
      'alter table only watched drop constraint watched_pkey',
    ].map((sql): [string, string] => [sql, sql]),
  ])('%s', (sql, text) => {
    expect(rewritten(sql).composed.text).toBe(text)
  })

  test.each([
    'alter table prices enable row level security',
    'alter table todos disable row level security',
    'alter table todos no force row level security',
    'alter table prices disable trigger all',
    'alter table prices disable trigger user',
    'alter table todos disable trigger kalam_del',
    'alter table todos enable always trigger kalam_del',
    'alter table todos set unlogged',
    'alter table todos inherit x',
    'alter table x inherit todos',
    'alter table x attach partition todos default',
    'alter table todos drop column _user_id',
    'alter table todos drop _deleted cascade',
    'alter table todos alter _user_id drop not null',
    'alter table pings alter _expires_at type date',
    "alter table todos alter _user_id set default 'x'",
    'alter table todos add column _deleted_at int',
    'alter table todos add column if not exists a int unique',
    'alter table todos rename _user_id to x',
    'alter table todos rename title to _deleted_by',
    'alter table prices add foreign key (id) references todos (id)',
    'alter table x add column y int references todos',
    'alter table todos add foreign key (id) references pings (id)',
  ])('%s is refused', (sql) => {
    expect(rewriteErrorOf(sql).code).toBe('STATEMENT_REFUSED')
  })
})

describe('TRUNCATE', () => {
  test.each<[string, string]>([
    ['truncate todos', 'delete from todos'],
    ['truncate table only app.todos', 'delete from only app.todos'],
    ['truncate todos, lists', 'with _t0 as (delete from todos) delete from lists'],
  ])('%s', (sql, text) => {
    const { composed, command } = rewritten(sql)
    expect(composed.text).toBe(text)
    expect(command).toBe('TRUNCATE TABLE')
  })

  test('of other tables stays PostgreSQL’s', () => {
    expect(rewritten('truncate prices, watched').composed.text).toBe('truncate prices, watched')
  })

  test.each<[string, number]>([
    ['truncate todos restart identity', 10],
    ['truncate todos cascade', 10],
    ['truncate todos, prices', 17],
    ['truncate watched, todos', 10],
    ['truncate pings', 10],
  ])('%s is refused', (sql, position) => {
    expect(rewriteErrorOf(sql)).toMatchObject({
      code: 'STATEMENT_REFUSED',
      fields: { position },
    })
  })
})

describe('GROUP BY of a key', () => {
  test.each<[string, string]>([
    ['select id, title from todos group by id', '"todos"._user_id, id'],
    ['select t.id, title from todos t group by t.id', '"t"._user_id, t.id'],
    ['select id, title from todos group by 1', '"todos"._user_id, 1'],
    ['select id as k, title from todos group by k', '"todos"._user_id, k'],
    ['select id from todos group by (id) order by title', '"todos"._user_id, (id)'],
    ['select id from todos group by id having title = 1', '"todos"._user_id, id having title = 1'],
    [
      'select l.id, name from (select 1) x join lists l on true group by l.id',
      '"l"._user_id, l.id',
    ],
    [
      'select 1 from (select id, title from todos group by id) x group by 1',
      '"todos"._user_id, id) x group by 1',
    ],
  ])('%s', (sql, groups) => {
    const { text } = rewritten(sql).composed
    expect(text.slice(text.indexOf('group by') + 9)).toMatch(groups)
    expect(text.slice(text.indexOf('group by') + 9).startsWith(groups.slice(0, 8))).toBe(true)
  })

  test.each([
    'select id, count(title) from todos group by id',
    'select title, count(*) from todos group by title',
    'select id, title from todos group by rollup (id)',
    'select id, title from todos group by _user_id, id',
    'select id, price from prices group by id',
    'with todos as (select 1 as id) select id, title from todos group by id',
  ])('%s stays', (sql) => {
    expect(rewritten(sql).composed.text).toBe(sql)
  })
})

describe('what tells of other users', () => {
  test.each([
    ['ctid', 8],
    ['cmin', 8],
    ['todos.cmax', 8],
    ['(todos).ctid', 9],
    ['(todos.*).cmax::text', 9],
    ['cmin(todos)', 8],
  ])('%s of a USER table is for admins', (column, position) => {
    const sql = `select ${column} from todos`
    expect(rewritten(sql).composed.text).toBe(sql)
    expect(rewriteErrorOf(sql, { role: 'user' })).toMatchObject({
      code: 'STATEMENT_REFUSED',
      fields: { position },
    })
    const shared = `select ${column.replace('todos', 'prices')} from prices`
    expect(rewritten(shared, { role: 'user' }).composed.text).toBe(shared)
  })

  test('TABLESAMPLE of a USER table is for admins', () => {
    const sql = 'select * from todos tablesample system (10)'
    expect(rewritten(sql).composed.text).toBe(sql)
    expect(rewriteErrorOf(sql, { role: 'user' })).toMatchObject({
      code: 'STATEMENT_REFUSED',
      fields: { position: 15 },
    })
    const shared = sql.replace('todos', 'prices')
    expect(rewritten(shared, { role: 'user' }).composed.text).toBe(shared)
  })
})

describe('what is refused by name', () => {
  test.each([
    'create materialized view v as select * from todos',
    'create materialized view v as select 1 where exists (select from pings)',
    'create rule r as on delete to todos do instead nothing',
    'create rule r as on delete to prices do also select 1',
    'drop trigger kalam_del on prices',
    'drop policy kalam_own on todos',
    'alter trigger kalam_del on prices rename to x',
    'alter policy kalam_own on todos using (true)',
    'create policy kalam_x on todos using (true)',
  ])('%s', (sql) => {
    expect(rewriteErrorOf(sql).code).toBe('STATEMENT_REFUSED')
  })
})

describe('COPY', () => {
  const context = { copies: true }
  const own = (sql: string) => rewritten(sql, context).composed.text

  test.each<[string, string]>([
    ['copy todos from stdin', 'copy todos ("id", "title", "list_id") from stdin'],
    [
      'copy app . todos /* x */ to stdout',
      'copy app . todos ("id", "title", "list_id") /* x */ to stdout',
    ],
    ['copy grown to stdout csv', 'copy grown ("id", "title", "note") to stdout csv'],
    ['copy prices from stdin', 'copy prices ("id", "price") from stdin'],
    ['copy "Tödo""s" to stdout', 'copy "Tödo""s" ("id", "title") to stdout'],
    ['copy todos (id) to stdout', 'copy todos (id) to stdout'],
    ['copy watched from stdin', 'copy watched from stdin'],
    ['copy binary pings to stdout', 'copy binary pings ("id", "x") to stdout'],
    [
      'copy (select * from app.prices include deleted) to stdout',
      `copy (select * from ${prices} as "prices" ${words}) to stdout`,
    ],
  ])('%s', (sql, expected) => {
    expect(own(sql)).toBe(expected)
  })

  test('into rows of each user it takes another way', () => {
    const staged = rewritten(
      `copy todos from stdin (format csv) where app.todos.id > 1 and todos."title" <> 'ä' and id < 9`,
      context,
    ).stage?.()
    expect(staged?.create).toBe(
      'create temporary table kalam_copied_rows on commit drop as ' +
        'select "id", "title", "list_id" from "app"."todos" with no data',
    )
    expect(staged?.copy.text).toBe(
      'copy pg_temp.kalam_copied_rows ("id", "title", "list_id") from stdin (format csv) ' +
        `where id > 1 and "title" <> 'ä' and id < 9`,
    )
    expect(staged?.insert).toBe(
      'insert into "app"."todos" ("id", "title", "list_id") overriding system value ' +
        'select "id", "title", "list_id" from pg_temp.kalam_copied_rows',
    )
    expect(staged?.drop).toBe('drop table pg_temp.kalam_copied_rows')
    expect(staged?.inTablesName('COPY kalam_copied_rows, line 1')).toBe('COPY todos, line 1')
  })

  test('positions in it are those of the text that was sent', () => {
    const sql = 'copy todos from stdin where nope'
    const staged = rewritten(sql, context).stage?.()
    const index = staged?.copy.text.indexOf('nope') ?? -1
    expect(staged?.copy.toCallerPosition(index + 1).position).toBe(sql.indexOf('nope') + 1)
  })

  test.each(['copy prices from stdin', 'copy watched from stdin', 'copy todos to stdout'])(
    '%s is left to PostgreSQL',
    (sql) => {
      expect(rewritten(sql, context).stage).toBeUndefined()
    },
  )

  test.each([
    ['copy todos (nope) from stdin', '42703'],
    ['copy todos (id, id) from stdin', '42701'],
    ['copy todos (_deleted) from stdin', '42P10'],
    ["copy pings from stdin (default 'x')", '0A000'],
  ])('%s', (sql, sqlState) => {
    const { stage } = rewritten(sql, context)
    expect(stage).toThrow(expect.objectContaining({ sqlState }))
  })
})
