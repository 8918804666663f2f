/** E2, E3, E5, E6: what an app does with a client, against a real server. */
import { createClient, isKalamError, KalamError, type LiveEvent } from 'kalam-link'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { within } from '../../../../tests/support/socket-client.js'
import { openTodoServer, type Todo, type TodoServer } from './server.js'

let todos: TodoServer
const anyKey = `kal_${'A'.repeat(43)}`

beforeAll(async () => {
  todos = await openTodoServer()
})
afterAll(async () => {
  await todos[Symbol.asyncDispose]()
})

/** The error that work throws, or rejects with. */
async function errorOf(work: () => unknown): Promise<KalamError> {
  try {
    await work()
  } catch (error) {
    if (error instanceof KalamError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

/** The first value of a stream that is right, with a deadline. */
async function until<T>(stream: AsyncIterable<T>, isRight: (value: T) => boolean): Promise<T> {
  const find = async () => {
    for await (const value of stream) if (isRight(value)) return value
    throw new Error('the stream ended')
  }
  return within('such a value', find())
}

/** As docs say: one change after the other, by splice. */
function apply(event: LiveEvent<Todo>, copy: Todo[]): void {
  if (event.kind === 'rows') copy.splice(0, copy.length, ...event.rows)
  if (event.kind !== 'changes') return
  for (const change of event.changes) {
    if (change.op !== 'insert') copy.splice(change.from, 1)
    if (change.op !== 'delete') copy.splice(change.to, 0, change.row)
  }
}

describe('E2: what createClient needs', () => {
  test.each([
    [{}, 'CONFIG_URL_MISSING', /url/],
    [{ url: '' }, 'CONFIG_URL_MISSING', /url/],
    [{ url: 'http://x' }, 'CONFIG_API_KEY_MISSING', /apiKey/],
    [{ url: 'http://x', apiKey: '' }, 'CONFIG_API_KEY_MISSING', /apiKey/],
    [{ url: 'http://x', apiKey: () => '' }, 'CONFIG_API_KEY_MISSING', /apiKey/],
    [{ url: 'ftp://x', apiKey: anyKey }, 'CONFIG_URL_INVALID', /url/],
    [{ url: 'http://x', apiKey: 'secret' }, 'CONFIG_API_KEY_INVALID', /apiKey/],
  ])('%j: %s, at once', async (options, code, message) => {
    // As callers without types do.
    const error = await errorOf(() => createClient(options as never))
    expect(error).toMatchObject({ code, name: 'KalamError' })
    expect(error.message).toMatch(message)
    expect(error.message).not.toContain('secret')
  })

  test('a key that nobody has: refused, and not tried again', async () => {
    const client = createClient({ url: todos.server.url, apiKey: anyKey })
    const error = await errorOf(() => client.query('SELECT 1'))
    expect(error.code).toBe('NOT_CONNECTED')
    expect(client.connection.state).toMatchObject({
      status: 'closed',
      everConnected: false,
      error: { code: 'UNAUTHORIZED' },
    })
    expect((await errorOf(() => client.connected())).code).toBe('UNAUTHORIZED')
    client.close()
  })

  test("another user's key is refused, the right one says who it is", async () => {
    const wrong = await todos.newClient({ userId: 'somebody' })
    expect((await errorOf(() => wrong.connected())).code).toBe('FORBIDDEN')
    const client = await todos.newClient()
    await client.connected()
    expect(client.user).toMatchObject({ role: 'user', isReadOnly: false })
    const again = await todos.newClient({ userId: client.user?.id, apiKey: await todos.newKey() })
    expect((await errorOf(() => again.connected())).code).toBe('FORBIDDEN')
  })
})

describe('E3, E6: statements', () => {
  test('values keep every digit, both ways', async () => {
    const client = await todos.newClient()
    const sql =
      'SELECT $1::bigint AS big, $2::numeric AS exact, $3::bytea AS bytes, $4::jsonb AS doc'
    const params = [9007199254740993n, '1.10', Uint8Array.of(0, 255), { list: [1] }]
    expect((await client.query(sql, params)).rows).toEqual([
      { big: '9007199254740993', exact: '1.10', bytes: '\\x00ff', doc: { list: [1] } },
    ])
  })

  test('a table: insert, update, delete; arrays and 64-bit numbers as they are', async () => {
    const table = (await todos.newClient()).table('app.todos')
    const milk = await table.insert({ title: "it's milk", tags: ['a', 'b"c,{}'], big: 2n ** 62n })
    expect(milk).toMatchObject({ tags: ['a', 'b"c,{}'], big: '4611686018427387904' })
    expect(await table.insertMany([{ title: 'tea' }, { title: 'jam' }])).toHaveLength(2)
    const [changed] = await table.update({ id: milk.id }, { completed: true, tags: null })
    expect(changed).toMatchObject({ id: milk.id, completed: true, tags: null, title: "it's milk" })
    expect(await table.delete({ completed: false })).toHaveLength(2)
    expect(await table.delete({ completed: false })).toEqual([])
    expect(await table.update({ tags: null }, { title: 'x' })).toHaveLength(1)
  })

  test('no condition is not all rows', async () => {
    const table = (await todos.newClient()).table('app.todos')
    expect((await errorOf(() => table.delete({}))).code).toBe('BAD_REQUEST')
    expect((await errorOf(() => table.update({ id: 1 }, {}))).code).toBe('BAD_REQUEST')
  })

  test("errors have the server's code, and the place in the SQL", async () => {
    const client = await todos.newClient()
    const error = await errorOf(() => client.query('SELECT\n  nope'))
    expect(error).toMatchObject({ code: 'QUERY_REJECTED', outcome: undefined })
    expect(error.details).toMatchObject({ sqlstate: '42703', line: 2, column: 3 })
    expect(isKalamError(error)).toBe(true)
    const missing = await errorOf(() => client.table('app.todos').insert({} as never))
    expect(missing.code).toBe('CONSTRAINT_VIOLATION')
  })

  test('a batch is one transaction if asked to be', async () => {
    const client = await todos.newClient()
    const insert = { sql: 'INSERT INTO app.todos (title) VALUES ($1)', params: ['one'] }
    const failing = [insert, 'SELECT 1/0']
    expect((await errorOf(() => client.batch(failing, { transaction: true }))).code).toBe(
      'QUERY_REJECTED',
    )
    const counts = await client.batch([insert, 'SELECT count(*)::int AS n FROM app.todos;'])
    expect(counts.map(({ rowCount, rows }) => [rowCount, rows])).toEqual([
      [1, []],
      [1, [{ n: 1 }]],
    ])
  })

  test('a write with an idempotency key is done once', async () => {
    const client = await todos.newClient()
    const sql = "INSERT INTO app.todos (title) VALUES ('once') RETURNING id"
    const first = await client.query(sql, [], { idempotencyKey: 'a' })
    const again = await client.query(sql, [], { idempotencyKey: 'a' })
    expect([first.isReplayed, again.isReplayed]).toEqual([false, true])
    expect(again.rows).toEqual(first.rows)
  })

  test('an aborted one rejects with the reason', async () => {
    const client = await todos.newClient()
    const reason = new Error('enough')
    const stop = new AbortController()
    const slow = client.query('SELECT 1', [], { signal: stop.signal })
    stop.abort(reason)
    await expect(slow).rejects.toBe(reason)
    await expect(client.query('SELECT 1', [], { signal: stop.signal })).rejects.toBe(reason)
  })
})

describe('E5: live rows', () => {
  test('callback, Observable, async iterator: the same rows at once', async () => {
    const client = await todos.newClient()
    const table = client.table('app.todos')
    using live = client.live<Todo>('SELECT id, title FROM app.todos ORDER BY title')
    await live.ready()
    const seen: string[][] = []
    const stop = live.subscribe((rows) => seen.push(rows.map(({ title }) => title)))
    await table.insert({ title: 'b' })
    await table.insert({ title: 'a' })
    const rows = await until(live, ({ length }) => length === 2)
    expect(rows.map(({ title }) => title)).toEqual(['a', 'b'])
    expect(live.rows).toBe(rows)
    expect(seen.at(0)).toEqual([])
    expect(seen.at(-1)).toEqual(['a', 'b'])
    stop()
    expect(stop.closed).toBe(true)
    await table.insert({ title: 'c' })
    await until(live, ({ length }) => length === 3)
    expect(seen.at(-1)).toEqual(['a', 'b'])
    let told = 0
    const other = live['@@observable']().subscribe({ next: ({ length }) => (told = length) })
    expect([told, other.closed]).toEqual([3, false])
  })

  test('a row that is unchanged is the same object; changes say what moved', async () => {
    const client = await todos.newClient()
    const table = client.table('app.todos')
    const [first, second] = await table.insertMany([{ title: 'a' }, { title: 'b' }])
    using live = client.live<Todo>('SELECT id, title FROM app.todos ORDER BY title')
    const events: LiveEvent<Todo>[] = []
    const copy: Todo[] = []
    const isEqual: boolean[] = []
    live.events.subscribe((event) => {
      events.push(event)
      apply(event, copy)
      isEqual.push(copy.every((row, at) => row === live.rows[at]))
    })
    const [a, b] = await live.ready()
    await table.update({ id: first?.id ?? 0 }, { title: 'c' })
    const after = await until(live, ([row]) => row?.title === 'b')
    expect(after[0]).toBe(b)
    expect(after[1]).not.toBe(a)
    await table.delete({ id: second?.id ?? 0 })
    await until(live, ({ length }) => length === 1)
    expect(isEqual).toEqual([true, true, true, true])
    expect([events[0], events[1], events[3]]).toEqual([
      { kind: 'rows', rows: [a, b] },
      { kind: 'status', status: 'ready' },
      { kind: 'changes', changes: [{ op: 'delete', old: b, from: 0 }] },
    ])
  })

  test('what cannot be live ends with the code, for everybody who listens', async () => {
    const client = await todos.newClient()
    const live = client.live('SELECT now()')
    const told: unknown[] = []
    live.subscribe({ error: (error) => told.push(error) })
    const error = await errorOf(() => live.ready())
    expect(error.code).toBe('LIVE_REFUSED')
    expect(told).toEqual([error])
    expect([live.status, live.error]).toEqual(['ended', error])
    await expect(until(live, () => true)).rejects.toBe(error)
  })

  test('close and a signal end it; a closed client ends all', async () => {
    const client = await todos.newClient()
    const stop = new AbortController()
    const one = client.live('SELECT 1 AS n', [], { signal: stop.signal })
    const other = client.table('app.todos').live()
    let isComplete = false
    other.subscribe({ complete: () => (isComplete = true) })
    await other.ready()
    stop.abort()
    expect([one.status, other.status]).toEqual(['ended', 'ready'])
    client.close()
    expect([other.status, isComplete]).toEqual(['ended', true])
    expect(client.connection.state.status).toBe('closed')
    expect((await errorOf(() => client.query('SELECT 1'))).code).toBe('CLOSED')
    expect((await errorOf(() => client.live('SELECT 1'))).code).toBe('CLOSED')
  })

  test('a column may have any name', async () => {
    const client = await todos.newClient()
    using live = client.live('SELECT 1 AS "__proto__", 2 AS "constructor"')
    const [row] = await live.ready()
    expect(JSON.stringify(row)).toBe('{"__proto__":1,"constructor":2}')
  })
})

describe('optimistic writes', () => {
  test('are shown at once, and gone when the server refuses', async () => {
    const client = await todos.newClient()
    const table = client.table('app.todos')
    const kept = await table.insert({ title: 'kept' })
    using live = table.live()
    await live.ready()
    const titles = () => live.rows.map(({ title }) => title)
    const refused = table.insert({ title: 'too large', big: 2n ** 64n }, { optimistic: live })
    expect(titles()).toEqual(['kept', 'too large'])
    expect((await errorOf(() => refused)).code).toBe('QUERY_REJECTED')
    expect(titles()).toEqual(['kept'])
    expect(live.rows[0]).toEqual(kept)
  })

  test('wait for nothing once the query is closed', async () => {
    const client = await todos.newClient()
    const timers = () =>
      process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length
    const live = client.table('app.todos').live()
    await live.ready()
    const same = (rows: readonly object[]) => rows as typeof live.rows
    await live.optimistic(
      same,
      () => Promise.resolve(),
      () => false,
    )
    let answer = (): void => undefined
    const answered = new Promise<void>((resolve) => {
      answer = resolve
    })
    const late = live.optimistic(same, () => answered)
    const before = timers()
    live.close()
    expect(timers()).toBe(before - 1)
    answer()
    await late
    expect(timers()).toBe(before - 1)
  })

  test('insert, update and delete end as what the server has, with nothing shown twice', async () => {
    const client = await todos.newClient()
    const table = client.table('app.todos')
    using live = table.live()
    await live.ready()
    const shown: string[][] = []
    live.subscribe((rows) =>
      shown.push(rows.map(({ title, completed }) => `${title} ${completed}`)),
    )
    const written = table.insert({ title: 'tea', completed: false }, { optimistic: live })
    expect(live.rows).toHaveLength(1)
    const { id } = await written
    await until(live, ([row]) => row?.id === id)
    const updated = table.update({ id }, { completed: true }, { optimistic: live })
    expect(live.rows[0]?.completed).toBe(true)
    await updated
    const deleted = table.delete({ id }, { optimistic: live })
    expect(live.rows).toEqual([])
    await deleted
    const distinct = shown.filter((rows, at) => String(rows) !== String(shown[at - 1]))
    expect(distinct).toEqual([[], ['tea false'], ['tea true'], []])
  })
})
