/** E4: a connection that is lost in every way, and rows that go on where they were. */
import { rmSync } from 'node:fs'
import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import {
  createClient,
  storageCache,
  type KalamClient,
  type KalamError,
  type LiveEvent,
  type WebSocketConstructor,
} from 'kalam-link'
import { openFeed, type FeedEvent } from 'kalam-link/feed'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { copyOfTemplate } from '../../../../tests/support/engine.js'
import { freePort } from '../../../../tests/support/free-port.js'
import { kalam } from '../../../../tests/support/kalam.js'
import {
  closePlace,
  endServer,
  openPlace,
  serve,
} from '../../../../tests/support/server-process.js'
import { openTestServer } from '../../../../tests/support/server.js'
import { within } from '../../../../tests/support/socket-client.js'
import { openTodoServer, todoTable, type Todo, type TodoSchema, type TodoServer } from './server.js'

let todos: TodoServer

beforeAll(async () => {
  todos = await openTodoServer()
})
afterAll(async () => {
  await todos[Symbol.asyncDispose]()
})

async function until<T>(stream: AsyncIterable<T>, isRight: (value: T) => boolean): Promise<T> {
  const find = async () => {
    for await (const value of stream) if (isRight(value)) return value
    throw new Error('the stream ended')
  }
  return within('such a value', find())
}

function status(client: KalamClient<TodoSchema>, wanted: string) {
  return until(client.connection, (state) => state.status === wanted)
}

function titles(rows: readonly Todo[]): string {
  return rows
    .map(({ title }) => title)
    .sort()
    .join(' ')
}

/** A proxy between client and server, to be cut. */
interface Proxy extends AsyncDisposable {
  readonly url: string
  cut(): void
  /** Takes connections, and passes nothing on. */
  isDeaf: boolean
  /** Passes on nothing that the server says. */
  isMute: boolean
}

async function openProxy(port: number): Promise<Proxy> {
  const sockets = new Set<Socket>()
  const proxy = { isDeaf: false, isMute: false }
  const server = createServer((near) => {
    sockets.add(near)
    near.on('error', () => undefined)
    if (proxy.isDeaf) return
    const far = createConnection(port, '127.0.0.1')
    sockets.add(far)
    far.on('error', () => undefined)
    near.pipe(far)
    far.on('data', (bytes) => {
      if (!proxy.isMute) near.write(bytes)
    })
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const cut = () => {
    for (const socket of sockets) socket.destroy()
    sockets.clear()
  }
  return Object.assign(proxy, {
    // It listens on a port.
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    [Symbol.asyncDispose]: async () => {
      cut()
      await new Promise((resolve) => server.close(resolve))
    },
  })
}

const quick = { delayMsMin: 10, delayMsMax: 50 }

describe('a lost connection', () => {
  test('is there again; rows are stale meanwhile, and get what they missed as changes', async () => {
    await using proxy = await openProxy(todos.server.port)
    const apiKey = await todos.newKey()
    const elsewhere = await todos.newClient({ apiKey })
    using client = createClient<TodoSchema>({ url: proxy.url, apiKey, reconnect: quick })
    const table = elsewhere.table('app.todos')
    const [a, b] = await table.insertMany([{ title: 'a' }, { title: 'b' }])
    const live = client.table('app.todos').live()
    const [first] = await live.ready()
    const events: LiveEvent<Todo>[] = []
    live.events.subscribe((event) => events.push(event))
    events.length = 0
    proxy.isDeaf = true
    proxy.cut()
    await status(client, 'reconnecting')
    expect(live.status).toBe('stale')
    expect(titles(live.rows)).toBe('a b')
    await table.update({ id: b?.id ?? 0 }, { title: 'c' })
    await table.insert({ title: 'd' })
    proxy.isDeaf = false
    proxy.cut()
    await until(live, (rows) => titles(rows) === 'a c d')
    expect(live.rows.find(({ id }) => id === a?.id)).toBe(first)
    const ops = events.flatMap((event) => (event.kind === 'changes' ? event.changes : []))
    expect(ops.map(({ op }) => op)).toEqual(['update', 'insert'])
    expect(events.filter(({ kind }) => kind === 'status')).toEqual([
      { kind: 'status', status: 'stale' },
      { kind: 'status', status: 'ready' },
    ])
    expect(client.connection.state).toMatchObject({ status: 'connected', everConnected: true })
  })

  test('a statement that was sent has an unknown outcome; one that was not waits, or fails', async () => {
    await using proxy = await openProxy(todos.server.port)
    using client = createClient({ url: proxy.url, apiKey: await todos.newKey(), reconnect: quick })
    await client.connected()
    proxy.isMute = true
    const sent = client.query('SELECT 1')
    const failed = sent.catch((error: unknown) => error as KalamError)
    proxy.cut()
    proxy.isMute = false
    expect(await failed).toMatchObject({ code: 'CONNECTION_LOST', outcome: 'unknown' })
    const unsent = client.query('SELECT 1', [], { mayWait: false })
    await expect(unsent).rejects.toMatchObject({ code: 'NOT_CONNECTED', outcome: undefined })
    expect((await client.query('SELECT 1 AS n')).rows).toEqual([{ n: 1 }])
  })

  test('nobody listens: it says why, waits longer each time, and gives up when told to', async () => {
    const reconnect = { ...quick, attemptsMax: 2 }
    using client = createClient({ url: 'http://127.0.0.1:1', apiKey: anyKey, reconnect })
    const states: string[] = []
    client.connection.subscribe(({ status: each, attempt }) => states.push(`${each} ${attempt}`))
    await expect(client.connected()).rejects.toMatchObject({ code: 'CONNECTION_LOST' })
    expect(states.at(0)).toMatch(/^(connecting|reconnecting)/u)
    expect(states.at(-1)).toBe('closed 3')
    expect(client.connection.state.error?.message).toMatch(/ECONNREFUSED/u)
  })

  test('a statement waits no longer for a connection than it may', async () => {
    const options = { url: 'http://127.0.0.1:1', apiKey: anyKey, requestTimeoutMs: 50 }
    using client = createClient(options)
    await expect(client.query('SELECT 1')).rejects.toMatchObject({ code: 'NOT_CONNECTED' })
    const stop = new AbortController()
    const waiting = client.query('SELECT 1', [], { signal: stop.signal })
    stop.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
  })

  test('A8: a revoked key ends it for good', async () => {
    const client = await todos.newClient()
    await client.connected()
    const live = client.table('app.todos').live()
    await live.ready()
    await todos.server.sql(`DROP USER '${client.user?.name ?? ''}'`)
    const state = await status(client, 'closed')
    expect(state.error?.code).toBe('UNAUTHORIZED')
    expect(live.status).toBe('stale')
    await expect(client.query('SELECT 1')).rejects.toMatchObject({ code: 'NOT_CONNECTED' })
  })

  test('D8: a key of another user is refused: the rows are those of the first', async () => {
    const [first, second] = [await todos.newKey(), await todos.newKey()]
    let apiKey = first
    const client = await todos.newClient({ apiKey: () => apiKey })
    const live = client.live<Todo>('SELECT * FROM app.todos')
    await client.table('app.todos').insert({ title: 'of the first' })
    await until(live, (rows) => rows.length === 1)
    const { rows } = await client.query<{ id: string }>('SELECT id FROM system.apikeys')
    apiKey = second
    await todos.server.sql(`REVOKE APIKEY '${rows[0]?.id}'`)
    await status(client, 'closed')
    client.connect()
    const refused = await until(client.connection, ({ error }) => error?.code === 'FORBIDDEN')
    expect(refused.status).toBe('closed')
    expect(live.status).not.toBe('ready')
  })

  test('a machine that slept asks at once whether the server is there', async () => {
    await using proxy = await openProxy(todos.server.port)
    let now = 0
    const apiKey = await todos.newKey()
    using client = createClient<TodoSchema>({
      url: proxy.url,
      apiKey,
      clock: () => now,
      reconnect: quick,
    })
    const live = client.table('app.todos').live()
    await live.ready()
    // Eight hours on, what the client says next comes with a ping, and nobody answers.
    now += 8 * 3_600_000
    await client.query('SELECT 1')
    now += 3_600_000
    proxy.cut()
    await until(client.connection, ({ status: each }) => each === 'reconnecting')
    now += 3_600_000
    await client.table('app.todos').insert({ title: 'after the night' })
    await until(live, ({ length }) => length === 1)
  })
})

describe('a server that is stopped and killed', () => {
  test('D5: every client goes on where it was, after a restart', async () => {
    const folder = copyOfTemplate()
    const port = await freePort()
    const start = () => openTestServer({ folder, settings: { 'server.port': port } })
    let server = await start()
    await server.sql(todoTable)
    const apiKey = await server.createUser('alice')
    using client = createClient<TodoSchema>({ url: server.url, apiKey, reconnect: quick })
    const table = client.table('app.todos')
    const live = table.live()
    const counted = client.live<{ n: number }>('SELECT count(*)::int AS n FROM app.todos')
    await table.insert({ title: 't1' })
    await until(live, ({ length }) => length === 1)
    await server.stop()
    expect(await status(client, 'reconnecting')).toMatchObject({ everConnected: true })
    server = await start()
    await table.insert({ title: 't2' })
    await until(live, (rows) => titles(rows) === 't1 t2')
    expect(await until(counted, ([row]) => row?.n === 2)).toEqual([{ n: 2 }])
    client.close()
    await server.close()
    rmSync(join(folder, '..'), { recursive: true, force: true })
  })

  test('D5, K1: and after kill -9', async () => {
    const place = await openPlace()
    const { home, folder, port, url } = place
    const env = { KALAM_URL: url }
    const killed = await serve(place)
    await kalam(['-q', '-c', todoTable], { home, env })
    const made = await kalam(['-q', 'user', 'create', 'alice'], { home, env })
    using client = createClient<TodoSchema>({ url, apiKey: made.stdout.trim(), reconnect: quick })
    const live = client.table('app.todos').live()
    await live.ready()
    await client.table('app.todos').insert({ title: 't1' })
    await endServer(killed, 'SIGKILL')
    const server = await openTestServer({ folder, settings: { 'server.port': port } })
    await client.table('app.todos').insert({ title: 't2' })
    await until(live, (rows) => titles(rows) === 't1 t2')
    client.close()
    await server.close()
    closePlace(place)
  }, 120_000)
})

describe('a core that fails', () => {
  test('another one goes on, from what is kept: no row is lost, and none is told anew', async () => {
    const traps: Traps = { next: false }
    const apiKey = await todos.newKey()
    const elsewhere = (await todos.newClient({ apiKey })).table('app.todos')
    await elsewhere.insertMany([{ title: 'a' }, { title: 'b' }])
    using client = createClient<TodoSchema>({
      ...{ url: todos.server.url, apiKey, reconnect: quick },
      WebSocket: trappingSocket(traps),
    })
    const live = client.table('app.todos').live()
    const values = client.live('SELECT title, 1.5::float8 AS x FROM app.todos')
    const before = await live.ready()
    await values.ready()
    const events: LiveEvent<Todo>[] = []
    live.events.subscribe((event) => events.push(event))
    events.length = 0
    traps.next = true
    const lost = client.query('SELECT 1').catch((error: unknown) => error)
    const state = await status(client, 'reconnecting')
    expect(state.error?.code).toBe('PROTOCOL')
    expect(await lost).toMatchObject({ outcome: 'unknown' })
    await elsewhere.insert({ title: 'c' })
    await until(live, (rows) => titles(rows) === 'a b c')
    expect(live.rows.slice(0, 2)).toEqual(before)
    expect(before.every((row, at) => row === live.rows[at])).toBe(true)
    expect(events.map(({ kind }) => kind)).toEqual(['status', 'status', 'changes'])
    // Rows without a key are asked for anew: their texts are not at hand.
    expect((await until(values, ({ length }) => length === 3)).length).toBe(3)
    expect((await client.query('SELECT 2 AS n')).rows).toEqual([{ n: 2 }])
  })

  test('one that fails again and again ends the client, and says so', async () => {
    const traps: Traps = { next: true, isAlways: true }
    using client = createClient({
      ...{ url: todos.server.url, apiKey: await todos.newKey(), reconnect: quick },
      WebSocket: trappingSocket(traps),
    })
    await expect(client.connected()).rejects.toMatchObject({ code: 'PROTOCOL' })
  })
})

describe('a cache', () => {
  test('rows are there at once, and only what changed since is told', async () => {
    const kept = new Map<string, string>()
    const storage = {
      getItem: (name: string) => kept.get(name) ?? null,
      setItem: (name: string, text: string) => void kept.set(name, text),
      removeItem: (name: string) => void kept.delete(name),
    }
    const apiKey = await todos.newKey()
    const cache = storageCache({ storage })
    const table = (await todos.newClient({ apiKey })).table('app.todos')
    await table.insertMany([{ title: 'a' }, { title: 'line\nbreak' }])
    const first = await todos.newClient({ apiKey, cache })
    await first.table('app.todos').live().ready()
    first.close()
    expect([...kept.values()].join('')).toContain('line\\nbreak')
    expect([...kept].join('')).not.toContain(apiKey)
    await table.delete({ title: 'a' })
    const again = await todos.newClient({ apiKey, cache })
    const live = again.table('app.todos').live()
    expect([live.status, titles(live.rows)]).toEqual(['stale', 'a line\nbreak'])
    const events: LiveEvent<Todo>[] = []
    live.events.subscribe((event) => events.push(event))
    await until(live, ({ length }) => length === 1)
    expect(events.slice(2).map((event) => event.kind)).toEqual(['status', 'changes'])
    const other = await todos.newClient({ cache })
    expect(other.table('app.todos').live().status).toBe('loading')
  })

  test.each([
    ['off', { getItem: fails, setItem: fails, removeItem: fails }],
    ['full', { getItem: () => null, setItem: fails, removeItem: () => undefined }],
    ['of somebody else', { getItem: () => '{"x":1}', setItem: () => undefined, removeItem: fails }],
    ['of an old version', { getItem: () => '[]\n[]', setItem: fails, removeItem: fails }],
  ])('a storage that is %s changes nothing', async (_name, storage) => {
    const client = await todos.newClient({ cache: storageCache({ storage }) })
    const live = client.table('app.todos').live()
    expect(live.status).toBe('loading')
    expect(await live.ready()).toEqual([])
  })
})

describe('a feed', () => {
  test('tells what the server tells, keeps no rows, and goes on after a loss', async () => {
    await using proxy = await openProxy(todos.server.port)
    const apiKey = await todos.newKey()
    const table = (await todos.newClient({ apiKey })).table('app.todos')
    const { id } = await table.insert({ title: 'a', big: 2n ** 60n })
    using client = createClient({ url: proxy.url, apiKey, reconnect: quick })
    const told: FeedEvent[] = []
    let wake: () => void = () => undefined
    const feed = openFeed(client, 'SELECT id, title, big FROM app.todos', {}, (event) => {
      told.push(event)
      wake()
    })
    const next = async (kind: FeedEvent['kind']): Promise<FeedEvent> => {
      for (;;) {
        const event = told.shift()
        if (event?.kind === kind) return event
        if (event === undefined)
          await within(kind, new Promise<void>((resolve) => (wake = resolve)))
      }
    }
    expect(await next('rows')).toEqual({
      kind: 'rows',
      rows: `[[${id},"a","1152921504606846976"]]`,
    })
    await next('ready')
    proxy.cut()
    await table.delete({ id })
    expect(await next('subscribed')).toMatchObject({ isResumed: true })
    expect(await next('changes')).toMatchObject({ changes: `[["d",[${id}]]]` })
    feed.close()
  })
})

const anyKey = `kal_${'A'.repeat(43)}`

function fails(): never {
  throw new Error('the storage is off')
}

interface Traps {
  /** The next message traps the core. */
  next: boolean
  /** And all that follow it. */
  readonly isAlways?: boolean
}

/** Says that it is longer than memory can be: the core traps, as it does when memory is used up. */
const tooLarge = Object.defineProperty(new Uint8Array(8), 'length', { value: 0xffff_fff0 })

/** A WebSocket that gives the core such a message when it is told to. */
function trappingSocket(traps: Traps): WebSocketConstructor {
  return class extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols)
      let listener: ((event: { readonly data: Uint8Array }) => void) | null = null
      Object.defineProperty(this, 'onmessage', {
        set: (next: typeof listener) => {
          listener = next
        },
      })
      this.on('message', (data: Uint8Array) => {
        const isTrap = traps.next
        traps.next = traps.isAlways === true
        listener?.({ data: isTrap ? tooLarge : data })
      })
    }
  }
}
