/** Many sockets of one KalamDB, in a process of their own: fan-out, catching up, and just being there. */
import { HttpConnection, requestOf } from '../load/http-connection.js'
import { quantile } from '../load/sample.js'
import { serveOrders } from '../load/worker-process.js'
import { within } from './deadline.js'
import { LiveSocket, parseMessage } from './live-socket.js'
import { insertedFrom, insertSql, newTodo, querySql, type Form } from './live-system.js'

export type SocketsOrder =
  /** That many sockets, each with one and the same live query. */
  | { readonly kind: 'watch'; readonly subscribers: number }
  | { readonly kind: 'fan out'; readonly durationMs: number }
  /** Misses so many changes, then resumes by cursor. */
  | { readonly kind: 'catch up'; readonly changes: number }
  | { readonly kind: 'idle'; readonly sockets: number }
  /** So many different live queries on a hundred sockets, those of earlier orders included. */
  | { readonly kind: 'hold'; readonly form: Form; readonly queries: number }
  | { readonly kind: 'close' }

export interface SocketsAnswer {
  readonly p50Ms: number
  readonly p95Ms: number
}

const port = Number(process.argv[2])
const apiKey = process.argv[3] ?? ''
const writesPerSecond = 10
const arrivalMsMax = 30_000

let sockets: LiveSocket[] = []
/** For each socket the last insert it was told of. */
let lastSeen: number[] = []
let nextId = insertedFrom
let writer: HttpConnection | undefined

serveOrders(answer, () => {
  closeSockets()
  writer?.close()
  return Promise.resolve()
})

async function answer(order: SocketsOrder): Promise<SocketsAnswer | undefined> {
  switch (order.kind) {
    case 'watch':
      await watch(order.subscribers)
      return undefined
    case 'fan out':
      return fanOut(order.durationMs)
    case 'catch up':
      return catchUp(order.changes)
    case 'idle':
      await openSockets(order.sockets)
      return undefined
    case 'hold':
      await hold(order.form, order.queries)
      return undefined
    case 'close':
      closeSockets()
      return undefined
  }
}

/** Most handshakes at a time: the listen queue is short. */
const openingMax = 100

async function openSockets(count: number): Promise<void> {
  while (sockets.length < count) {
    const more = Math.min(openingMax, count - sockets.length)
    const opening = Array.from({ length: more }, () => LiveSocket.open(port, apiKey))
    sockets.push(...(await Promise.all(opening)))
  }
}

function closeSockets(): void {
  for (const socket of sockets) socket.close()
  sockets = []
  held = 0
}

async function watch(subscribers: number): Promise<void> {
  await openSockets(subscribers)
  await Promise.all(sockets.map((socket) => subscribe(socket, { form: 'evaluated', owner: 'u0' })))
}

interface SubscribeOptions {
  readonly form: Form
  readonly owner: string
  readonly id?: number
}

/** Resolves with the cursor of the first rows. */
function subscribe(socket: LiveSocket, options: SubscribeOptions): Promise<string> {
  const { form, owner, id = 0 } = options
  return new Promise((resolve) => {
    socket.receive = (data) => {
      const message = parseMessage(data)
      if (message.type === 'ready') resolve(message.cursor)
    }
    socket.subscribe({ id, sql: querySql[form], params: [owner] })
  })
}

async function fanOut(durationMs: number): Promise<SocketsAnswer> {
  const latencies: number[] = []
  const sentAt = new Map<number, number>()
  const first = nextId
  lastSeen = sockets.map(() => first - 1)
  const writes = Math.round((durationMs / 1000) * writesPerSecond)
  const allCame = new Promise<void>((resolve) => {
    sockets.forEach((socket, at) => {
      socket.receive = (data) => {
        for (const id of insertsIn(data)) {
          // Each insert once, on every socket, and none before an earlier one.
          if (id !== (lastSeen[at] ?? 0) + 1) throw new Error(`${id} after ${lastSeen[at]}`)
          lastSeen[at] = id
          latencies.push(performance.now() - (sentAt.get(id) ?? NaN))
        }
        if (latencies.length === writes * sockets.length) resolve()
      }
    })
  })
  for (let write = 0; write < writes; write += 1) {
    const id = nextId++
    sentAt.set(id, performance.now())
    await insert(insertSql, Object.values(newTodo(id, 'u0')))
    await new Promise((resolve) => setTimeout(resolve, 1000 / writesPerSecond))
  }
  await within(allCame, arrivalMsMax, 'not everything arrived')
  return { p50Ms: quantile(latencies, 0.5), p95Ms: quantile(latencies, 0.95) }
}

/**
 * Ids of the inserts that a message tells of, found without parsing it. Those that came into the
 * window together are told in its order, newest first.
 */
function insertsIn(data: Buffer): readonly number[] {
  const found = data.toString('latin1').matchAll(/\["i",\[(\d+)\]/g)
  return Array.from(found, ([, id]) => Number(id)).sort((a, b) => a - b)
}

async function catchUp(changes: number): Promise<SocketsAnswer> {
  const before = await LiveSocket.open(port, apiKey)
  const cursor = await subscribe(before, { form: 'follow', owner: 'u1' })
  before.close()
  const first = nextId
  for (let made = 0; made < changes; made += statementRows) {
    await insert(manySql, [nextId, nextId + statementRows - 1])
    nextId += statementRows
  }
  const started = performance.now()
  const socket = await LiveSocket.open(port, apiKey)
  const caughtUp = allFrom(socket, first, changes)
  socket.subscribe({ id: 0, sql: querySql.follow, params: ['u1'], from: cursor })
  await within(caughtUp, arrivalMsMax, 'changes are missing')
  const tookMs = performance.now() - started
  socket.close()
  return { p50Ms: tookMs, p95Ms: tookMs }
}

const statementRows = 100
const manySql = `INSERT INTO todo SELECT n, 'u1', n, 'todo ' || n FROM generate_series($1::int, $2::int) AS n`

function allFrom(socket: LiveSocket, first: number, count: number): Promise<void> {
  return new Promise((resolve) => {
    let next = first
    socket.receive = (data) => {
      const message = parseMessage(data)
      if (message.type === 'subscribed' && message.resumed === true) return
      if (message.type !== 'changes') throw new Error(`not resumed: ${data.toString()}`)
      for (const [operation, [id]] of message.changes) {
        if (operation !== 'i' || id !== next) throw new Error(`not ${next}: ${data.toString()}`)
        next += 1
      }
      if (next === first + count) resolve()
    }
  })
}

const holdingSockets = 100
let held = 0

async function hold(form: Form, queries: number): Promise<void> {
  await openSockets(holdingSockets)
  const from = held
  held = queries
  await Promise.all(
    sockets.map(async (socket, at) => {
      for (let query = from + at; query < queries; query += holdingSockets)
        await subscribe(socket, { form, owner: `u${query}`, id: query })
    }),
  )
}

async function insert(sql: string, params: readonly unknown[]): Promise<void> {
  const connection = (writer ??= await HttpConnection.open(port))
  const answer = await new Promise<string>((resolve, reject) => {
    connection.listen(({ body }) => resolve(body.toString('latin1')), reject)
    connection.send(requestOf(JSON.stringify({ sql, params }), apiKey))
  })
  if (!answer.includes('"command":"INSERT"')) throw new Error(answer)
}
