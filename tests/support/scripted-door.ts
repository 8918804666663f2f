/**
 * The HTTP door over a database whose live queries do what a test tells them: event by event, as
 * slow or as large as it needs. Only `enter`, `watch` and `health` are there.
 */
import { loadConfig } from '#src/config/load-config.js'
import type { Caller, Database, Presence } from '#src/database/database.js'
import type { Watch, WatchEvent, WatchReceiver, WatchRequest } from '#src/database/watch.js'
import { DbError } from '#src/errors.js'
import { openHttp } from '#src/http/open-http.js'
import { createLog } from '#src/telemetry/log.js'
import { createMetrics } from '#src/telemetry/metrics.js'
import { within } from './socket-client.js'

/** A live query as its test holds it. */
export interface ScriptedWatch {
  readonly request: WatchRequest
  deliver(event: WatchEvent): void
  writable(): Promise<void>
  /** `watch` resolves. */
  open(): void
  /** `watch` rejects. */
  refuse(error: DbError): void
  readonly closed: Promise<void>
}

export interface ScriptedDoor extends AsyncDisposable {
  readonly url: string
  readonly adminKey: string
  /** The next live query that somebody asks for. */
  nextWatch(): Promise<ScriptedWatch>
  metrics(): Promise<string>
  /** Ends all sockets with a code that says: connect again. */
  cutSockets(): void
}

export async function openScriptedDoor(
  settings: Readonly<Record<string, number>> = {},
): Promise<ScriptedDoor> {
  const all = { 'server.port': 0, 'log.level': 'silent', ...settings }
  const { config } = loadConfig({
    env: {},
    flags: Object.entries(all).map(([key, value]) => ({
      flag: '--set',
      key,
      value: String(value),
    })),
  })
  const asked: ScriptedWatch[] = []
  let waiting: (() => void) | undefined
  const watch = (_caller: Caller, request: WatchRequest, receiver: WatchReceiver) => {
    const { scripted, opened } = scriptedWatch(request, receiver)
    asked.push(scripted)
    waiting?.()
    return opened
  }
  const metrics = createMetrics()
  // The door asks nothing else of it in these tests.
  const ends = new Set<(error: DbError) => void>()
  const enter = (_key: string, onEnd: (error: DbError) => void): Promise<Presence> => {
    ends.add(onEnd)
    return Promise.resolve({ ...presence, leave: () => ends.delete(onEnd) })
  }
  const health = { ready: true, state: 'ready' }
  const database = {
    ...{ enter, watch, health },
  } as unknown as Database
  const log = createLog(config.log)
  const http = await openHttp({
    config,
    database,
    log,
    metrics,
    postRoutes: new Map(),
    version: 'scripted',
  })
  const nextWatch = async (): Promise<ScriptedWatch> => {
    const next = asked.shift()
    if (next !== undefined) return next
    const come = new Promise<void>((resolve) => {
      waiting = resolve
    })
    await within('a watch', come)
    return nextWatch()
  }
  return {
    url: `http://127.0.0.1:${http.port}`,
    // It has the form of a key.
    adminKey: `kal_${'A'.repeat(43)}`,
    nextWatch,
    metrics: async () => (await metrics.render()).body,
    cutSockets: () => {
      for (const end of [...ends]) end(new DbError('CALLER_CHANGED', 'cut by the test'))
    },
    [Symbol.asyncDispose]: () => http.close(),
  }
}

const presence: Presence = {
  caller: {
    userId: 'root',
    name: 'root',
    role: 'admin',
    keyId: 'scripted',
    readOnly: false,
    identity: { roleOid: 10, userId: 'root', readOnly: false },
  },
  countRequest: () => undefined,
  leave: () => undefined,
}

function scriptedWatch(request: WatchRequest, receiver: WatchReceiver) {
  let open: (watch: Watch) => void = () => undefined
  let refuse: (error: DbError) => void = () => undefined
  const opened = new Promise<Watch>((resolve, reject) => {
    open = resolve
    refuse = reject
  })
  let close: () => void = () => undefined
  const closed = new Promise<void>((resolve) => {
    close = resolve
  })
  const scripted: ScriptedWatch = {
    request,
    deliver: (event) => receiver.deliver(event),
    writable: () => receiver.writable(),
    open: () => open({ id: 'w1', close }),
    refuse: (error) => refuse(error),
    get closed() {
      return within('the close of a watch', closed)
    },
  }
  return { scripted, opened }
}
