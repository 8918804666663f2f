/** I1, I4: psql as people use it, of Debian 12 and of PostgreSQL 18. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { clients, isMissing } from '../support/postgres-clients.js'
import { runProgram, type ProgramOptions, type ProgramOutcome } from '../support/run-program.js'
import { openWireServer, type WireServer } from '../support/wire-server.js'

const tables = `
  CREATE SCHEMA shop;
  CREATE SHARED TABLE shop.makers (id integer PRIMARY KEY, name text NOT NULL UNIQUE);
  CREATE TABLE shop.items (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    price numeric(8,2) DEFAULT 0,
    tags text[]
  );
  CREATE INDEX items_by_name ON shop.items (name);
  CREATE VIEW shop.cheap AS SELECT id, name FROM shop.items WHERE price < 5;
  CREATE FUNCTION shop.twice(n integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
  CREATE USER TABLE shop.todos (
    id integer PRIMARY KEY, title text NOT NULL, done boolean DEFAULT false, UNIQUE (title)
  );
  COMMENT ON TABLE shop.items IS 'what is sold';
  INSERT INTO shop.items (name, price, tags) VALUES ('tea', 3.5, '{hot,leaf}'), ('milk', 1.25, NULL);
  INSERT INTO shop.makers VALUES (1, 'Ann'), (2, 'Bob');
`

let server: WireServer
let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kalam-psql-'))
  server = await openWireServer()
  await server.sql(tables)
})
afterAll(async () => {
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

describe.each([
  { version: 15, path: clients.psql15, client: 'psql15' },
  { version: 18, path: clients.psql18, client: 'psql18' },
] as const)('psql $version', ({ version, path, client }) => {
  const missing = isMissing(client)
  const psql = (
    script: string,
    { args = [], ...options }: Partial<ProgramOptions> & { args?: readonly string[] } = {},
  ): Promise<ProgramOutcome> =>
    runProgram(path, ['-X', ...args], { env: server.env, stdin: script, ...options })

  describe.skipIf(missing)('commands with a backslash', () => {
    let sections: ReadonlyMap<string, string>
    beforeAll(async () => {
      const commands = [
        ...['\\d', '\\dt shop.*', '\\d shop.items', '\\d+ shop.items', '\\dv shop.*'],
        ...['\\di shop.*', '\\ds shop.*', '\\dn', '\\df shop.*', '\\du', '\\conninfo'],
        ...[
          '\\d shop.todos',
          '\\d+ shop.todos',
          '\\d shop.makers',
          '\\dp shop.items',
          '\\dd shop.*',
          '\\dT',
          '\\do',
        ],
        ...['\\dx', '\\dy', '\\db', '\\dc', '\\dD', '\\dF', '\\sf shop.twice', '\\sv shop.cheap'],
        ...[
          '\\l',
          '\\l+',
          '\\dO',
          '\\drds',
          '\\dL',
          '\\dC',
          '\\ddp',
          '\\det',
          '\\dRp',
          '\\dRs',
          '\\dX',
          '\\dm',
        ],
        ...['\\dA', '\\dAc', '\\da shop.*', '\\dconfig work_mem'],
      ]
      const heading = (command: string) => `\\echo '== ${command.replaceAll('\\', '\\\\')}'\n`
      const script = commands.map((each) => `${heading(each)}${each}\n`).join('')
      const { stdout, stderr, exit } = await psql(script)
      expect({ stderr, exit }).toEqual({ stderr: expect.any(String) as string, exit: 0 })
      expect(stderr.replaceAll(/Did not find any .*\n/g, '')).toBe('')
      const parts = stdout.split(/^== /m).slice(1)
      sections = new Map(
        parts.map((part) => {
          const [command = '', ...lines] = part.split('\n')
          return [command, lines.map((line) => line.trimEnd()).join('\n')]
        }),
      )
      expect(sections.size).toBe(commands.length)
    })
    const shown = (command: string): string => sections.get(command) ?? ''

    test('\\dt lists tables, managed ones among them, and no twin', () => {
      const names = [...shown('\\dt shop.*').matchAll(/^ shop +\| (\w+) +\| (\w+)/gm)]
      expect(names.map(([, name, type]) => `${name} ${type}`)).toEqual([
        ...['items table', 'makers table', 'todos table'],
      ])
    })

    test('\\d of a table shows columns, indexes and the rest as PostgreSQL does', () => {
      expect(shown('\\d shop.items').trim()).toBe(
        `
                            Table "shop.items"
 Column |     Type     | Collation | Nullable |           Default
--------+--------------+-----------+----------+------------------------------
 id     | integer      |           | not null | generated always as identity
 name   | text         |           | not null |
 price  | numeric(8,2) |           |          | 0
 tags   | text[]       |           |          |
Indexes:
    "items_pkey" PRIMARY KEY, btree (id)
    "items_by_name" btree (name)`.trim(),
      )
      expect(shown('\\d+ shop.items')).toContain('Access method: heap')
    })

    test('\\d of a USER table shows whose its keys are, and what keeps users apart', () => {
      const text = shown('\\d shop.todos').trim()
      expect(text.split('Policies')[0]?.trim()).toBe(
        `
                            Table "shop.todos"
  Column  |  Type   | Collation | Nullable |              Default
----------+---------+-----------+----------+------------------------------------
 id       | integer |           | not null |
 title    | text    |           | not null |
 done     | boolean |           |          | false
 _user_id | text    |           | not null | kalam.uid()
 _deleted | boolean |           | not null | generated always as (false) stored
Indexes:
    "todos_pkey" PRIMARY KEY, btree (_user_id, id)
    "todos_title_key" UNIQUE CONSTRAINT, btree (_user_id, title)`.trim(),
      )
      expect(text).toContain('POLICY "kalam_own" AS RESTRICTIVE')
      expect(shown('\\d+ shop.todos')).toContain('The user whose row it is; the server sets it.')
    })

    test('\\dn shows namespaces, \\df functions, \\dv views', () => {
      expect([...shown('\\dn').matchAll(/^ +(\w+) +\|/gm)].map(([, name]) => name)).toEqual([
        ...['Name', 'public', 'shop', 'system'],
      ])
      expect(shown('\\df shop.*')).toMatch(/ shop +\| twice \| integer +\| n integer +\| func/)
      expect(shown('\\dv shop.*')).toMatch(/ shop +\| cheap \| view/)
      expect(shown('\\di shop.*')).toMatch(/ items_by_name +\| index/)
      expect(shown('\\sf shop.twice')).toContain('CREATE OR REPLACE FUNCTION shop.twice(n integer)')
      expect(shown('\\sv shop.cheap')).toContain('CREATE OR REPLACE VIEW shop.cheap AS')
    })

    test('\\l, \\du and \\conninfo tell of the one database and of the caller', () => {
      expect(shown('\\l')).toMatch(/^ kalamdb +\|/m)
      expect(shown('\\l+')).toMatch(/^ kalamdb .* kB +\|/m)
      expect(shown('\\du')).toMatch(/^ kalam_admin +\|/m)
      expect(shown('\\conninfo')).toContain('kalamdb')
      expect(shown('\\conninfo')).toContain('root')
    })
  })

  describe.skipIf(missing)('statements', () => {
    test('\\gset, \\gdesc, \\timing, \\gexec, \\bind and variables', async () => {
      const { stdout, stderr } = await psql(
        `SELECT 6 * 7 AS answer \\gset
         SELECT :answer + 1 AS next;
         SELECT id, name, price FROM shop.items \\gdesc
         SELECT format('SELECT %s', n) FROM generate_series(1, 2) n \\gexec
         \\timing on
         SELECT 'timed';
         ${version === 18 ? `SELECT $1::int + 1 \\bind 8 \\g` : 'SELECT 9;'}
        `,
        { args: ['-At'] },
      )
      expect(stderr).toBe('')
      expect(stdout.replaceAll(/Time: [\d.]+ ms.*\n/g, 'TIME\n')).toBe(
        [
          ...['43', 'id|integer', 'name|text', 'price|numeric(8,2)', '1', '2'],
          ...['Timing is on.', 'timed', 'TIME', '9', 'TIME', ''],
        ].join('\n'),
      )
    })

    test('\\watch repeats a query', async () => {
      const { stdout } = await psql(`SELECT 'seen' || 1 \\watch 0.05\n`, {
        args: ['-At'],
        interruptWhen: (text) => text.split('seen1').length > 3,
      })
      expect(stdout.match(/seen1/g)?.length).toBeGreaterThanOrEqual(3)
    })

    test('FETCH_COUNT reads through a cursor', async () => {
      const { stdout, stderr } = await psql(
        `\\set FETCH_COUNT 100
         SELECT sum(length(x)) FROM (SELECT repeat('x', 10) x FROM generate_series(1, 10)) t;
         SELECT n, repeat('ä', 50) FROM generate_series(1, 1050) n;`,
        { args: ['-At'] },
      )
      expect(stderr).toBe('')
      const lines = stdout.trim().split('\n')
      expect(lines).toHaveLength(1051)
      expect(lines.at(-1)).toBe(`1050|${'ä'.repeat(50)}`)
    })

    test('transactions roll back, savepoints hold, the prompt’s state follows', async () => {
      const { stdout, stderr } = await psql(
        `CREATE TABLE shop.moved (n integer);
         BEGIN; INSERT INTO shop.moved VALUES (1); ROLLBACK;
         BEGIN; INSERT INTO shop.moved VALUES (2); SAVEPOINT a;
         INSERT INTO shop.moved VALUES (3); ROLLBACK TO a; COMMIT;
         BEGIN; SELECT 1/0; SELECT 1; COMMIT;
         TABLE shop.moved;
         DROP TABLE shop.moved;`,
        { args: ['-At'] },
      )
      expect(stdout.split('\n').filter((line) => !/^[A-Z]/.test(line))).toEqual(['2', ''])
      expect(stdout).toContain('ROLLBACK')
      expect(stderr.match(/ERROR: {2}.*/g)).toEqual([
        'ERROR:  division by zero',
        'ERROR:  current transaction is aborted, commands ignored until end of transaction block',
      ])
    })

    test.each([
      ['SELECT nothing', 'LINE 1: SELECT nothing', 15],
      ["SELECT 'ä', nothing", "LINE 1: SELECT 'ä', nothing", 20],
      ['SELECT 1,\n  missing()', 'LINE 2:   missing()', 10],
      ['SELEKT 1', 'LINE 1: SELEKT 1', 8],
      ['SELECT * FROM shop.nothing', 'LINE 1: SELECT * FROM shop.nothing', 22],
      ["INSERT INTO shop.items (id, nme) VALUES (1, 'x')", 'nme) VALUES', 36],
    ])('the caret stands under the mistake: %j', async (sql, line, caretAt) => {
      const { stderr, exit } = await psql(`${sql};`, { args: ['-v', 'ON_ERROR_STOP=1'] })
      expect(exit).toBe(3)
      expect(stderr).toContain(line)
      const caret = stderr.split('\n').find((each) => /^ *\^$/.test(each))
      expect(caret?.indexOf('^'), stderr).toBe(caretAt)
    })

    test('errors have detail, hint and the names of \\errverbose', async () => {
      const { stderr } = await psql(
        `INSERT INTO shop.makers VALUES (1, 'Cid');
         \\errverbose
         SELECT nme FROM shop.items;`,
        { args: ['-v', 'VERBOSITY=default'] },
      )
      expect(stderr).toContain('duplicate key value violates unique constraint "makers_pkey"')
      expect(stderr).toContain('DETAIL:  Key (id)=(1) already exists.')
      expect(stderr).toContain('ERROR:  23505: duplicate key')
      expect(stderr).toContain('CONSTRAINT NAME:  makers_pkey')
      expect(stderr).toContain('HINT:  Perhaps you meant to reference the column "items.name".')
    })

    test('Ctrl-C cancels what runs', async () => {
      const { stderr } = await psql('', {
        args: ['-c', 'COPY (SELECT generate_series(1, 4000000000)) TO STDOUT'],
        interruptWhen: (text) => text.startsWith('1\n'),
      })
      expect(stderr).toContain('canceling statement due to user request')
    })

    test('-c with several statements is one transaction', async () => {
      const { stderr } = await psql('', {
        args: ['-c', "INSERT INTO shop.makers VALUES (9, 'Zoe'); SELECT 1/0"],
      })
      expect(stderr).toContain('division by zero')
      const { stdout } = await psql('SELECT count(*) FROM shop.makers WHERE id = 9;', {
        args: ['-At'],
      })
      expect(stdout.trim()).toBe('0')
    })
  })

  describe.skipIf(missing)('\\copy', () => {
    test('out as CSV and in again, quotes, nulls and umlauts kept', async () => {
      const file = join(folder, `items-${version}.csv`)
      const { stderr, stdout } = await psql(
        `CREATE TABLE shop.copied (LIKE shop.items);
         \\copy (SELECT 1 AS id, 'a "b", c' AS name, 2.50 AS price, '{x}'::text[] AS tags UNION ALL SELECT 2, 'Öl', NULL, NULL ORDER BY 1) TO '${file}' CSV HEADER
         \\copy shop.copied FROM '${file}' CSV HEADER
         SELECT * FROM shop.copied ORDER BY id;
         DROP TABLE shop.copied;`,
        { args: ['-At'] },
      )
      expect(stderr).toBe('')
      expect(readFileSync(file, 'utf8')).toBe(
        'id,name,price,tags\n1,"a ""b"", c",2.50,{x}\n2,Öl,,\n',
      )
      expect(stdout).toContain('COPY 2\nCOPY 2\n1|a "b", c|2.50|{x}\n2|Öl||\n')
    })

    test('into a USER table and out of it', async () => {
      const file = join(folder, `todos-${version}.tsv`)
      const lines = Array.from({ length: 500 }, (_, n) => `${n}\ttask ${n}\tf`)
      writeFileSync(file, `${lines.join('\n')}\n`)
      const { stderr, stdout } = await psql(
        `DELETE FROM shop.todos;
         \\copy shop.todos (id, title, done) FROM '${file}'
         SELECT count(*), max(title) FROM shop.todos;
         \\copy (SELECT id, title FROM shop.todos WHERE id < 2 ORDER BY id) TO STDOUT
         COPY shop.todos (title) TO STDOUT WITH (FORMAT csv);`,
        { args: ['-At'] },
      )
      expect(stderr).toBe('')
      const seen = stdout.split('\n')
      expect(seen.slice(1, 5)).toEqual(['COPY 500', '500|task 99', '0\ttask 0', '1\ttask 1'])
      expect(seen).toHaveLength(5 + 500 + 1)
    })

    test('data that is wrong is refused with its line, and nothing of it stays', async () => {
      const { stderr, stdout } = await psql(
        `CREATE TABLE shop.strict (n integer);
         COPY shop.strict FROM STDIN;\n1\n2\nthree\n4\n\\.\n
         SELECT count(*) FROM shop.strict;
         DROP TABLE shop.strict;`,
        { args: ['-At'] },
      )
      expect(stderr).toContain('invalid input syntax for type integer: "three"')
      expect(stderr).toContain('CONTEXT:  COPY strict, line 3, column n: "three"')
      expect(stdout).toContain('0\n')
    })
  })
})
