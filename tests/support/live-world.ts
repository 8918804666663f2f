/** Random queries and transactions over a few tables of every kind, from one seed. */
import type { Caller, Database, Parameter } from '#src/database/database.js'
import { encodeRows, rowEncoder } from '#src/protocol/row-json.js'
import { ByteSink } from '#src/protocol/byte-sink.js'

export const worldTables = `
  create namespace app;
  create table app.tags (name text primary key, weight int);
  create shared table app.lists (id int primary key, title text, open boolean);
  create shared table app.items (
    id int primary key, list_id int references app.lists on delete cascade, title text, n int,
    price numeric(10, 2));
  create user table app.todos (
    id int primary key, n int, big bigint, title text, done boolean, at timestamptz, tags text[]);
  create view app.open_items as
    select i.id, i.title, i.n, l.title as list from app.items i join app.lists l on l.id = i.list_id
     where l.open;
  grant select, insert, update, delete, truncate on app.tags, app.lists, app.items to user;

  -- Triggers that fire triggers, on the very rows they were fired for too, and cascades among them.
  create shared table app.cells (
    id int primary key, up int references app.cells on delete cascade on update cascade, n int, title text);
  grant select, insert, update, delete, truncate on app.cells to user;
  create function app.on_cell() returns trigger language plpgsql as $$
  begin
    if pg_trigger_depth() < 4 then
      case new.n % 7
        when 1 then update app.cells set n = n + 1, title = title || '+' where id in (new.id, new.id + 1);
        when 2 then delete from app.cells where id = new.id + 2;
        when 3 then insert into app.cells values (new.id + 3, null, 4, 'c')
                      on conflict (id) do update set n = app.cells.n + 1, title = 'b';
        when 4 then update app.cells set id = id + 40, n = 0 where id = new.id and new.id < 40;
        when 5 then delete from app.cells where id = new.id;
        when 6 then update app.cells set n = 8, title = 'a' where id = new.id;
        else null;
      end case;
    end if;
    return null;
  end $$;
  create function app.before_cell() returns trigger language plpgsql as $$
  begin
    if pg_trigger_depth() < 3 and new.n = 9 then
      delete from app.cells where id = new.id + 1;
      update app.cells set title = 'before' where id = new.id + 2;
    end if;
    return new;
  end $$;
  create trigger a_row after insert or update on app.cells for each row execute function app.on_cell();
  create trigger b_row before insert or update on app.cells for each row execute function app.before_cell();
  grant select on app.open_items to user;`

export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** mulberry32 */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }

  below(count: number): number {
    return Math.floor(this.next() * count)
  }

  one<T>(choices: readonly T[]): T {
    const choice = choices[this.below(choices.length)]
    if (choice === undefined) throw new Error('nothing to choose from')
    return choice
  }

  is(chance: number): boolean {
    return this.next() < chance
  }
}

export interface GeneratedQuery {
  readonly sql: string
  readonly params: readonly Parameter[]
  readonly ordered: boolean
}

interface TableWords {
  readonly name: string
  readonly key: string
  readonly columns: readonly string[]
  readonly conditions: readonly ((random: Random) => string)[]
}

const number = (random: Random) => String(random.below(12))
const word = (random: Random) => random.one(['a', 'b', 'c', 'dd', "o''k", ''])

const todos: TableWords = {
  name: 'app.todos',
  key: 'id',
  columns: ['id', 'n', 'big', 'title', 'done', 'at', 'tags', 'coalesce(n, 0) * 2', '_deleted'],
  conditions: [
    (r) => `n = ${number(r)}`,
    (r) => `n ${r.one(['<', '>', '<=', '>=', '<>'])} ${number(r)}`,
    (r) => `n in (${number(r)}, ${number(r)}, null)`,
    (r) => `big = ${number(r)}000000000000`,
    (r) => `title = '${word(r)}'`,
    (r) => `title like '${r.one(['a', 'd', ''])}%'`,
    () => 'done',
    () => 'not done',
    () => 'n is null',
    () => 'done is not true',
    (r) => `n between ${number(r)} and ${number(r)}`,
    (r) => `id % 3 = ${r.below(3)}`,
    (r) => `'x' = any (tags) or n = ${number(r)}`,
    () => `at > '2026-01-05'`,
  ],
}

const items: TableWords = {
  name: 'app.items',
  key: 'id',
  columns: ['id', 'list_id', 'title', 'n', 'price', 'upper(title)'],
  conditions: [
    (r) => `list_id = ${1 + r.below(4)}`,
    (r) => `n ${r.one(['<', '>', '='])} ${number(r)}`,
    (r) => `price > ${number(r)}.5`,
    (r) => `title <> '${word(r)}'`,
    () => 'list_id is not null',
  ],
}

const cells: TableWords = {
  name: 'app.cells',
  key: 'id',
  columns: ['id', 'up', 'n', 'title', "coalesce(title, '') || n"],
  conditions: [
    (r) => `n = ${number(r)}`,
    (r) => `n ${r.one(['<', '>', '<='])} ${number(r)}`,
    (r) => `title = '${word(r)}'`,
    (r) => `title like '%${r.one(['a', '+', 'b'])}%'`,
    () => 'up is null',
    (r) => `n % 3 = ${r.below(3)}`,
  ],
}

const tables = [todos, todos, items, cells, cells]

function condition(table: TableWords, random: Random): string {
  const one = () => random.one(table.conditions)(random)
  const kind = random.below(6)
  if (kind === 0) return `(${one()} or ${one()})`
  if (kind === 1) return `not (${one()})`
  if (kind === 2) return `${one()} and ${one()}`
  return one()
}

function columns(table: TableWords, random: Random): string {
  if (random.is(0.2)) return '*'
  const chosen = table.columns.filter(() => random.is(0.4))
  const withKey = random.is(0.8) ? [table.key, ...chosen] : [...chosen, table.columns[1] ?? '']
  return [...new Set(withKey)].join(', ')
}

export function generateQuery(random: Random): GeneratedQuery {
  const table = random.one(tables)
  const where = random.is(0.85) ? ` where ${condition(table, random)}` : ''
  const plain = (sql: string, ordered = false) => ({ sql, params: [], ordered })
  switch (random.below(15)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return plain(`select ${columns(table, random)} from ${table.name}${where}`)
    case 4:
      return {
        sql: `select ${columns(table, random)} from ${table.name} t where t.n = $1`,
        params: [number(random)],
        ordered: false,
      }
    case 5:
      return plain(
        `select id, n, title from ${table.name}${where}
          order by n ${random.one(['', 'desc'])} nulls last, id limit ${1 + random.below(6)}`,
        true,
      )
    case 6:
      return plain(`select title from ${table.name}${where} order by title, n, id`, true)
    case 7:
      return plain(`select n, count(*), max(title) from ${table.name}${where} group by n`)
    case 8:
      return plain(
        `select l.title, count(i.id), sum(i.price) from app.lists l
           left join app.items i on i.list_id = l.id where l.id <> ${1 + random.below(4)}
          group by l.id, l.title order by l.id`,
        true,
      )
    case 9:
      return plain(
        `select id, n, rank() over (partition by title order by n, id) from ${table.name}${where}`,
      )
    case 10:
      return plain(
        `with chosen as (select * from ${table.name}${where}) select title, n from chosen
          union ${random.one(['', 'all'])} select name, weight from app.tags`,
      )
    case 11:
      return plain(
        `select id, title from app.items where list_id in
           (select id from app.lists where open) and n > ${number(random)}`,
      )
    case 12:
      return plain(`select * from app.open_items where n < ${number(random)}`)
    case 13:
      return plain(
        `select id, title, _deleted from ${table.name} include deleted${where.replace(/_deleted/g, 'true')}`,
      )
    default:
      return plain(`select distinct title from ${table.name}${where}`)
  }
}

function value(random: Random): string {
  return random.is(0.1) ? 'null' : number(random)
}

function textValue(random: Random): string {
  return random.is(0.1) ? 'null' : `'${word(random)}'`
}

const statements: readonly ((random: Random) => string)[] = [
  (r) => `insert into app.todos (id, n, big, title, done, at, tags) values ${rows(
    r,
    () =>
      `(${r.below(25)}, ${value(r)}, ${number(r)}000000000000, ${textValue(r)}, ${r.one(['true', 'false', 'null'])}, '2026-01-0${1 + r.below(9)}', array['x', ${textValue(r)}])`,
  )}
    on conflict (id) do update set n = excluded.n, title = excluded.title`,
  (r) =>
    `update app.todos set n = ${r.one(['n + 1', value(r), 'n'])} where id % ${1 + r.below(4)} = 0`,
  (r) => `update app.todos set title = ${textValue(r)}, done = not done where n > ${number(r)}`,
  (r) =>
    `update app.todos set id = id + 100 where id = ${r.below(25)} and not exists (select from app.todos x where x.id = app.todos.id + 100)`,
  (r) => `delete from app.todos where id % ${2 + r.below(5)} = 1`,
  () => 'delete from app.todos where id > 90',
  (r) => `undelete from app.todos where id = ${r.below(25)}`,
  (r) =>
    `undelete from app.items where id % ${3 + r.below(9)} = 1 and not exists (select from app.items x where x.id = app.items.id)`,
  (r) => (r.is(0.3) ? 'truncate app.todos' : 'select 1'),
  (r) =>
    `insert into app.lists (id, title, open) values (${1 + r.below(5)}, ${textValue(r)}, ${r.one(['true', 'false'])}) on conflict (id) do update set open = not app.lists.open`,
  (r) =>
    `insert into app.items (id, list_id, title, n, price) select g, (select max(id) from app.lists where id <= ${1 + r.below(5)}), ${textValue(r)}, ${value(r)}, ${number(r)}.25 from generate_series(${r.below(20)}, ${r.below(25)}) g on conflict (id) do nothing`,
  (r) => `update app.items set n = ${value(r)}, price = price + 1 where id % ${1 + r.below(3)} = 0`,
  (r) => `delete from app.items where id % ${2 + r.below(3)} = 0`,
  (r) => `delete from app.lists where id = ${1 + r.below(5)}`,
  (r) => `with moved as (delete from app.items where id < ${r.below(10)} returning id, title, n)
           insert into app.tags select 'i' || id, n from moved on conflict do nothing`,
  (r) =>
    `insert into app.tags values ('${r.below(9)}', ${value(r)}) on conflict (name) do update set weight = excluded.weight`,
  (r) => (r.is(0.3) ? 'truncate app.tags' : `delete from app.tags where weight > ${number(r)}`),
  (r) =>
    `insert into app.cells select g, ${r.one(['null', '(select min(id) from app.cells where id < g)'])}, ${r.one(['g', number(r)])}, ${textValue(r)} from generate_series(${r.below(20)}, ${r.below(25)}) g on conflict (id) do ${r.one(['nothing', 'update set n = excluded.n'])}`,
  (r) =>
    `update app.cells set n = ${r.one(['n + 1', 'id', number(r)])} where id % ${1 + r.below(4)} = 0`,
  (r) => `delete from app.cells where id % ${2 + r.below(4)} = 1`,
  (r) =>
    r.is(0.3)
      ? 'delete from app.cells where id > 30'
      : `update app.cells set title = ${textValue(r)}`,
  (r) =>
    `update app.cells set id = id + 60 where id = ${r.below(25)} and not exists (select from app.cells x where x.id = app.cells.id + 60)`,
  (r) =>
    r.is(0.2)
      ? 'truncate app.items'
      : `update app.tags set name = name || 'x' where weight = ${number(r)}`,
]

function rows(random: Random, row: () => string): string {
  // One of a key at most, or ON CONFLICT would meet a row twice.
  const made = new Map<string, string>()
  for (let count = 1 + random.below(4); count > 0; count--) {
    const text = row()
    made.set(text.slice(0, text.indexOf(',')), text)
  }
  return [...made.values()].join(', ')
}

/** A transaction's SQL. One in six is rolled back, by its own or by an error. */
export function generateTransaction(random: Random): string {
  const body = Array.from({ length: 1 + random.below(4) }, () => random.one(statements)(random))
  const fate = random.below(12)
  if (fate === 0) return ['begin', ...body, 'rollback'].join(';\n')
  if (fate === 1) return ['begin', ...body, 'select 1 / 0', 'commit'].join(';\n')
  return fate < 6 ? body.join(';\n') : ['begin', ...body, 'commit'].join(';\n')
}

/** A fresh run, as JSON texts of rows; those of an unordered result sorted. */
export async function freshRows(
  database: Database,
  caller: Caller,
  query: GeneratedQuery,
): Promise<string[]> {
  const parameters = { single: query.params, each: undefined }
  const { results } = await database.run(
    caller,
    { sql: query.sql, parameters, transaction: false },
    new AbortController().signal,
  )
  const [result] = results
  if (result === undefined) throw new Error('no result')
  const out = new ByteSink()
  const encoder = rowEncoder(result.columns, 'array')
  encodeRows({ frames: result.frames, encoder, separator: 'newline', out })
  const lines = Buffer.from(out.bytes.subarray(0, out.length)).toString('utf8').split('\n')
  // Through JSON, as what is compared with it went through it as well.
  const texts = lines.filter((line) => line !== '').map((line) => JSON.stringify(JSON.parse(line)))
  return query.ordered ? texts : texts.sort()
}
