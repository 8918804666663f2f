/** The client without a socket or a clock: what it does about what happens. */
import { describe, expect, test } from 'vitest'
import { backoffMs } from '#link/backoff.js'
import { LinkCore, type LinkAction, type LinkCoreOptions } from '#link/link-core.js'

const options: LinkCoreOptions = { key: () => 'kal_k', random: () => 1 }

/** Actions without the timer's, which has tests of its own. */
function doneBy(actions: readonly LinkAction[]): unknown[] {
  return actions
    .filter(({ kind }) => kind !== 'wake')
    .map((action) => (action.kind === 'send' ? (JSON.parse(action.text) as unknown) : action))
}

function wakeOf(actions: readonly LinkAction[]): number | undefined {
  return actions.findLast((action) => action.kind === 'wake')?.atMs
}

const authenticated = JSON.stringify({
  type: 'authenticated',
  user_id: 'u',
  name: 'alice',
  role: 'user',
  version: '1.0',
  message_bytes_max: 1,
  subscriptions_max: 1,
  idle_timeout_ms: 60_000,
})
const text = (message: object) => JSON.stringify(message)

/** A core that is connected at 0. */
function connected(more: Partial<LinkCoreOptions> = {}): LinkCore {
  const core = new LinkCore({ ...options, ...more })
  core.connect(0)
  core.opened(0)
  core.received(authenticated, 0)
  return core
}

describe('connecting', () => {
  test('opens, authenticates, subscribes', () => {
    const core = new LinkCore({ ...options, userId: 'u' })
    expect(doneBy(core.connect(0))).toEqual([
      { kind: 'status', status: { kind: 'connecting' } },
      { kind: 'open' },
    ])
    expect(doneBy(core.subscribe({ sql: 'select 1', params: '[1.10]' }).actions)).toEqual([])
    expect(doneBy(core.opened(5))).toEqual([{ type: 'authenticate', key: 'kal_k', user_id: 'u' }])
    expect(doneBy(core.received(authenticated, 9))).toEqual([
      { kind: 'status', status: { kind: 'connected', version: '1.0' } },
      { type: 'subscribe', id: 1, sql: 'select 1', params: [1.1] },
    ])
  })

  test('events of a subscription are told', () => {
    const core = connected()
    core.subscribe({ sql: 'select 1' })
    const changes = text({ type: 'changes', id: 1, cursor: 'a.2', changes: [['d', [1]]] })
    expect(doneBy(core.received(changes, 1))).toEqual([
      { kind: 'event', id: 1, event: { kind: 'changes', cursor: 'a.2', changes: '[["d",[1]]]' } },
    ])
    const error = text({ type: 'error', id: 1, error: { code: 'FORBIDDEN', message: 'no' } })
    expect(doneBy(core.received(error, 1))).toEqual([
      {
        kind: 'event',
        id: 1,
        event: { kind: 'failed', error: { code: 'FORBIDDEN', message: 'no' } },
      },
    ])
    expect(doneBy(core.received(changes, 1))).toEqual([])
  })

  test('what it does not know it passes over', () => {
    const core = connected()
    for (const message of ['', '[]', '{"type":"news"}', '{"type":"ready","id":9,"cursor":"a"}'])
      expect(doneBy(core.received(message, 1))).toEqual([])
  })
})

describe('a lost connection', () => {
  test('is opened again after a pause, and every subscription resumed from its cursor', () => {
    const core = connected()
    core.subscribe({ sql: 'select 1', from: 'a.1' })
    core.subscribe({ sql: 'select 2' })
    core.received(text({ type: 'ready', id: 2, cursor: 'a.5' }), 0)
    core.received(text({ type: 'changes', id: 2, cursor: 'a.6', changes: [] }), 0)
    const lost = core.closed(1006, '', 1_000)
    expect(doneBy(lost)).toEqual([
      {
        kind: 'status',
        status: {
          kind: 'waiting',
          error: { code: 'CONNECTION_LOST', message: 'the connection was closed (1006)' },
          delayMs: 100,
        },
      },
    ])
    expect(wakeOf(lost)).toBe(1_100)
    expect(doneBy(core.tick(1_099))).toEqual([])
    expect(doneBy(core.tick(1_100))).toMatchObject([{ kind: 'status' }, { kind: 'open' }])
    core.opened(1_200)
    expect(doneBy(core.received(authenticated, 1_300)).slice(1)).toEqual([
      { type: 'subscribe', id: 1, sql: 'select 1', from: 'a.1' },
      { type: 'subscribe', id: 2, sql: 'select 2', from: 'a.6' },
    ])
  })

  test('in the middle of a snapshot what was told is void', () => {
    const core = connected()
    core.subscribe({ sql: 'select 1', from: 'a.1' })
    core.received(text({ type: 'reset', id: 1, reason: 'CURSOR_EXPIRED' }), 0)
    core.received(text({ type: 'rows', id: 1, rows: [[1]] }), 0)
    core.closed(1006, '', 0)
    core.tick(100)
    core.opened(100)
    expect(doneBy(core.received(authenticated, 100)).slice(1)).toEqual([
      { kind: 'event', id: 1, event: { kind: 'reset', reason: 'INTERRUPTED' } },
      { type: 'subscribe', id: 1, sql: 'select 1' },
    ])
  })

  test('pauses grow and are partly chance', () => {
    expect([0, 1, 2, 20].map((attempt) => backoffMs(attempt, 1))).toEqual([100, 200, 400, 15_000])
    expect(backoffMs(2, 0)).toBe(200)
    expect(backoffMs(1_000_000, 1)).toBe(15_000)
  })

  test('the reason that the server gave is told', () => {
    const core = connected()
    core.received(text({ type: 'error', error: { code: 'UNAVAILABLE', message: 'stopping' } }), 0)
    expect(doneBy(core.closed(4503, 'UNAVAILABLE', 0))).toMatchObject([
      { status: { kind: 'waiting', error: { code: 'UNAVAILABLE', message: 'stopping' } } },
    ])
  })

  test.each([
    [4401, 'UNAUTHORIZED', 'closed'],
    [4403, 'FORBIDDEN', 'closed'],
    [4400, 'BAD_REQUEST', 'closed'],
    [4499, 'SOMETHING_NEW', 'closed'],
    [4408, 'SOCKET_TIMEOUT', 'waiting'],
    [4409, 'CALLER_CHANGED', 'waiting'],
    [4429, 'SUBSCRIBER_TOO_SLOW', 'waiting'],
    [4500, 'INTERNAL', 'waiting'],
    [4503, 'UNAVAILABLE', 'waiting'],
    [4599, 'SOMETHING_NEW', 'waiting'],
    [1000, '', 'waiting'],
    [1012, '', 'waiting'],
  ])('closed with %i %s it is %s', (code, reason, status) => {
    const told = doneBy(connected().closed(code, reason, 0))
    expect(told).toContainEqual({
      kind: 'status',
      status: expect.objectContaining({ kind: status }) as unknown,
    })
  })

  test('a key that the server renews may be refused a few times', () => {
    const keys = ['old', 'old', 'new']
    const core = connected({ refusedKeysMax: 3, key: () => keys.shift() ?? '' })
    for (const key of ['old', 'new']) {
      expect(doneBy(core.closed(4401, 'UNAUTHORIZED', 0))).toMatchObject([
        { status: { kind: 'waiting' } },
      ])
      core.tick(1_000)
      expect(doneBy(core.opened(1_000))).toEqual([{ type: 'authenticate', key }])
    }
    expect(doneBy(core.closed(4401, 'UNAUTHORIZED', 0))).toMatchObject([
      { kind: 'drop' },
      { status: { kind: 'closed' } },
    ])
  })

  test('a first attempt in vain is the last, if so asked', () => {
    const core = new LinkCore({ ...options, firstAttemptsMax: 1 })
    core.connect(0)
    expect(doneBy(core.closed(1006, 'refused', 0))).toMatchObject([
      { kind: 'drop' },
      { status: { kind: 'closed', error: { message: 'refused' } } },
    ])
    const later = connected({ firstAttemptsMax: 1 })
    expect(doneBy(later.closed(1006, '', 0))).toMatchObject([{ status: { kind: 'waiting' } }])
  })
})

describe('a subscription that ends', () => {
  const error = text({ type: 'error', id: 1, error: { code: 'UNAVAILABLE', message: 'stopping' } })

  test('for a reason that may pass is asked for again, after growing pauses', () => {
    const core = connected()
    core.subscribe({ sql: 'select 1' })
    core.received(text({ type: 'ready', id: 1, cursor: 'a.5' }), 0)
    const again = [{ type: 'subscribe', id: 1, sql: 'select 1', from: 'a.5' }]
    const ended = core.received(error, 1_000)
    expect(doneBy(ended)).toMatchObject([{ id: 1, event: { kind: 'waiting', delayMs: 100 } }])
    expect(wakeOf(ended)).toBe(1_100)
    expect(doneBy(core.tick(1_099))).toEqual([])
    expect(doneBy(core.tick(1_100))).toEqual(again)
    expect(wakeOf(core.received(error, 1_100))).toBe(1_300)
    expect(doneBy(core.tick(1_300))).toEqual(again)
    expect(doneBy(core.tick(1_400))).toEqual([])
  })

  test('by KILL LIVE QUERY is not asked for again', () => {
    const core = connected()
    core.subscribe({ sql: 'select 1' })
    const killed = text({ type: 'error', id: 1, error: { code: 'CANCELLED', message: 'killed' } })
    expect(doneBy(core.received(killed, 0))).toMatchObject([{ event: { kind: 'failed' } }])
    expect(doneBy(core.tick(15_000))).toEqual([])
  })

  test('is asked for once when the connection is lost as well', () => {
    const core = connected()
    core.subscribe({ sql: 'select 1', from: 'a.1' })
    core.received(error, 0)
    core.closed(4503, 'UNAVAILABLE', 0)
    core.tick(100)
    core.opened(100)
    expect(doneBy(core.received(authenticated, 100)).slice(1)).toEqual([
      { type: 'subscribe', id: 1, sql: 'select 1', from: 'a.1' },
    ])
    expect(doneBy(core.tick(1_000))).toEqual([])
  })
})

describe('a silent server', () => {
  test('is pinged after 20 s, and given up after 30', () => {
    const core = connected()
    expect(wakeOf(core.tick(0))).toBe(20_000)
    const ping = core.tick(20_000)
    expect(doneBy(ping)).toEqual([{ type: 'ping' }])
    expect(wakeOf(ping)).toBe(30_000)
    expect(doneBy(core.tick(30_000))).toMatchObject([
      { kind: 'drop' },
      { status: { kind: 'waiting', error: { code: 'CONNECTION_LOST' } } },
    ])
  })

  test('that answers the ping is not', () => {
    const core = connected()
    core.tick(20_000)
    core.received('{"type":"pong"}', 21_000)
    expect(doneBy(core.tick(40_999))).toEqual([])
    expect(doneBy(core.tick(41_000))).toEqual([{ type: 'ping' }])
  })

  test('that takes the connection and says nothing is given up after 15 s', () => {
    const core = new LinkCore(options)
    expect(wakeOf(core.connect(0))).toBe(15_000)
    expect(wakeOf(core.opened(1_000))).toBe(16_000)
    expect(doneBy(core.tick(16_000))).toMatchObject([{ kind: 'drop' }, { kind: 'status' }])
  })
})

describe('the end', () => {
  test('closes the socket and wakes nobody', () => {
    const core = connected()
    const closed = core.close()
    expect(doneBy(closed)).toEqual([
      { kind: 'drop' },
      { kind: 'status', status: { kind: 'closed', error: undefined } },
    ])
    expect(wakeOf(closed)).toBeUndefined()
    expect(core.close()).toEqual([])
    expect(doneBy(core.closed(1006, '', 1))).toEqual([])
    expect(doneBy(core.tick(1e9))).toEqual([])
  })

  test('an unsubscribed query is told no more of, nor asked for again', () => {
    const core = connected()
    const { id } = core.subscribe({ sql: 'select 1' })
    expect(doneBy(core.unsubscribe(id))).toEqual([{ type: 'unsubscribe', id }])
    expect(doneBy(core.received(text({ type: 'ready', id, cursor: 'a' }), 0))).toEqual([])
    expect(core.unsubscribe(id)).toEqual([])
  })
})
