/** KalamDB's clients: live queries spread over many WebSockets, inserts over HTTP. */
import { HttpConnection, requestOf } from '../load/http-connection.js'
import { serveLive } from './live-process.js'
import { LiveSocket, parseMessage, type ServerMessage } from './live-socket.js'
import { insertSql, querySql, type LiveSystem, type SubscribeOptions } from './live-system.js'

const port = Number(process.argv[2])
const apiKey = process.argv[3] ?? ''
/** Most sockets; more live queries share them. */
const socketsMax = 100

let sockets: LiveSocket[] = []
const held = new Map<string, Set<number>>()
const writers = new Map<number, HttpConnection>()

const system: LiveSystem = {
  subscribe: async (options) => {
    const count = Math.min(socketsMax, options.owners.length)
    sockets = await Promise.all(Array.from({ length: count }, () => LiveSocket.open(port, apiKey)))
    await Promise.all(sockets.map((socket, at) => subscribeOn(socket, shareOf(options, at, count))))
  },
  insert: async ({ id, owner, title }, lane) => {
    const answer = await ask(await writerOf(lane), insertSql, [id, owner, title])
    if (!answer.includes('"row_count":1')) throw new Error(answer)
  },
  held: (owner) => [...(held.get(owner) ?? [])],
  stored: async (owner, form) => {
    // The caller knows the shape of the answer.
    const answer = JSON.parse(await ask(await writerOf(0), querySql[form], [owner])) as {
      readonly results: readonly { readonly rows: readonly { readonly id: number }[] }[]
    }
    return answer.results[0]?.rows.map(({ id }) => id) ?? []
  },
  unsubscribe: () => {
    for (const socket of sockets) socket.close()
    sockets = []
    held.clear()
    closeWriters()
    return Promise.resolve()
  },
  close: () => {
    closeWriters()
    return Promise.resolve()
  },
}
serveLive(system)

/** While others have their turn, the server would close them as idle. */
function closeWriters(): void {
  for (const writer of writers.values()) writer.close()
  writers.clear()
}

async function writerOf(lane: number): Promise<HttpConnection> {
  const writer = writers.get(lane) ?? (await HttpConnection.open(port))
  writers.set(lane, writer)
  return writer
}

function ask(writer: HttpConnection, sql: string, params: readonly unknown[]): Promise<string> {
  return new Promise((resolve, reject) => {
    writer.listen(({ body }) => resolve(body.toString('latin1')), reject)
    writer.send(requestOf(JSON.stringify({ sql, params }), apiKey))
  })
}

/** Every `count`-th owner from `at` on. */
function shareOf(options: SubscribeOptions, at: number, count: number): SubscribeOptions {
  return { ...options, owners: options.owners.filter((_, index) => index % count === at) }
}

/** One after the other: so many wait at the server as there are sockets. */
async function subscribeOn(socket: LiveSocket, options: SubscribeOptions): Promise<void> {
  const { form, owners, see } = options
  let ready: () => void = () => undefined
  socket.receive = (data) => {
    const message = parseMessage(data)
    const owner = 'id' in message ? owners[message.id] : undefined
    if (owner === undefined) throw new Error(`about nothing: ${data.toString()}`)
    if (message.type === 'ready') ready()
    else take(message, owner, see)
  }
  for (const [id, owner] of owners.entries()) {
    held.set(owner, new Set())
    await new Promise<void>((resolve) => {
      ready = resolve
      socket.subscribe({ id, sql: querySql[form], params: [owner] })
    })
  }
}

/** Keeps the rows as an app would, and holds the server to "each once". */
function take(message: ServerMessage, owner: string, see: SubscribeOptions['see']): void {
  const ids = held.get(owner)
  if (ids === undefined) return
  switch (message.type) {
    case 'subscribed':
      return
    case 'rows':
      for (const [id] of message.rows) ids.add(id)
      return
    case 'changes':
      for (const change of message.changes) {
        const [operation, [id], row] = change
        const isNew = operation === 'i'
        if (isNew === ids.has(id)) throw new Error(`wrong: ${JSON.stringify(change)}`)
        ids.delete(id)
        if (row === undefined) continue
        ids.add(id)
        see({ id: row[0], owner: row[1], n: row[2], title: row[3] })
      }
      return
    case 'ready':
    case 'reset':
    case 'authenticated':
    case 'error':
    case 'pong':
      throw new Error(`not expected: ${JSON.stringify(message)}`)
  }
}
