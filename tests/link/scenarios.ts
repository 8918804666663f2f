/**
 * What the transcripts of link/core/vectors play: calls and frames. What the core must tell was
 * recorded once (`KALAM_RECORD=1 npx vitest run --project main tests/link/core-transcripts.test.ts`),
 * read, and stands in the files since.
 */
import { anyKey, type Text } from './core-host.js'
import { serverFrames as server } from './frames.js'

/** A call, its inputs, and the clock in ms. */
export interface Call {
  readonly call: string
  readonly at?: number
  readonly texts?: readonly Text[]
  readonly frame?: Uint8Array
  readonly text?: string
  readonly arguments?: readonly number[]
}

const url = 'http://127.0.0.1:2900'
const seed: Call = { call: 'seed', arguments: [42] }

function configure(...texts: readonly Text[]): Call {
  return { call: 'configure', texts }
}

function at(time: number, call: string, ...numbers: readonly number[]): Call {
  return { call, at: time, arguments: numbers }
}

function receive(time: number, frame: Uint8Array, socket = 1): Call {
  return { call: 'receive', at: time, arguments: [socket], frame }
}

function closed(time: number, code: number, reason = '', socket = 1): Call {
  return { call: 'closed', at: time, arguments: [socket, code], text: reason }
}

function subscribe(time: number, texts: readonly Text[], isOrdered = 0): Call {
  return { call: 'subscribe', at: time, texts, arguments: [isOrdered] }
}

function query(time: number, texts: readonly Text[], mayWait = 0): Call {
  return { call: 'query', at: time, texts, arguments: [mayWait] }
}

/** Connected and known at 20 ms. */
const connected: readonly Call[] = [
  seed,
  configure(url, anyKey),
  at(0, 'connect'),
  at(10, 'opened', 1),
  receive(20, server.authenticated()),
]

/** The same again, on a socket to come. */
function again(time: number, socket: number): Call[] {
  return [at(time, 'opened', socket), receive(time + 10, server.authenticated(), socket)]
}

/** A subscription to todos with the rows 1 and 2, live at 30 ms. */
const todos: readonly Call[] = [
  subscribe(25, ['SELECT id, title FROM app.todos', '[true]', 'app']),
  receive(26, server.subscribed(1)),
  receive(27, server.rows(1, ['[1,"milk"]', '[2,"tea"]'])),
  receive(30, server.ready(1, 'x7.41')),
]

export const scenarios: Readonly<Record<string, readonly Call[]>> = {
  'settings-and-addresses': [
    configure('', anyKey),
    configure(undefined, anyKey),
    configure(url, ''),
    configure('localhost:2900', anyKey),
    configure('ftp://localhost', anyKey),
    configure('http://', anyKey),
    configure('http://user:word@host', anyKey),
    configure('http://host/?apiKey=x', anyKey),
    configure('http://ho st', anyKey),
    configure('http://host:0', anyKey),
    configure('http://host:65536', anyKey),
    configure(url, 'kal_tooshort'),
    configure(url, `${anyKey} `),
    configure(url, `kal_${'a'.repeat(42)}B`),
    configure('HTTPS://Host:443/base/', anyKey, 'u1'),
    { call: 'setting', arguments: [1, 500] },
    { call: 'setting', arguments: [0, 500] },
    { call: 'setting', arguments: [8, 500] },
    { call: 'setting', arguments: [1, -1] },
    at(0, 'connect'),
    at(1, 'opened', 1),
    at(2, 'disconnect'),
    configure('ws://[::1]:2900', anyKey),
    at(3, 'connect'),
    at(4, 'disconnect'),
  ],
  'snapshot-and-changes': [
    ...connected,
    ...todos,
    receive(40, server.changes(1, 'x7.42', [['i', '[3]', '[3,"jam"]']])),
    receive(
      41,
      server.changes(1, 'x7.43', [
        ['u', '[1]', '[1,"oat milk"]'],
        ['d', '[2]'],
      ]),
    ),
    // The same cursor brings nothing new.
    receive(42, server.changes(1, 'x7.43', [['d', '[1]']])),
    receive(43, server.changes(1, 'x7.44', [])),
    { call: 'readRows', arguments: [1, 0, 10] },
    at(50, 'unsubscribe', 1),
    receive(51, server.changes(1, 'x7.45', [['d', '[3]']])),
    receive(52, server.unsubscribed(1)),
  ],
  'rows-with-places': [
    ...connected,
    subscribe(25, ['SELECT id, title FROM app.todos ORDER BY title LIMIT 4']),
    receive(26, server.subscribed(1, { ordered: true, mode: 'evaluated' })),
    receive(27, server.rows(1, ['[1,"a"]', '[2,"b"]', '[3,"c"]', '[4,"d"]'])),
    receive(30, server.ready(1, 'x7.41')),
    // 1 goes, 3 moves to the front, 2 changes where it is, 5 comes between.
    receive(
      31,
      server.changes(1, 'x7.42', [
        ['d', '[1]'],
        ['u', '[2]', '[2,"bb"]'],
        ['u', '[3]', '[3,"A"]', 0],
        ['i', '[5]', '[5,"c"]', 2],
      ]),
    ),
    // One row moves to the end: one difference, not three.
    receive(32, server.reset(1, 'EVALUATED')),
    receive(33, server.rows(1, ['[2,"bb"]', '[5,"c"]', '[4,"d"]', '[3,"z"]'])),
    receive(34, server.ready(1, 'x7.50')),
  ],
  'equal-rows-without-key': [
    ...connected,
    subscribe(25, ['SELECT title FROM app.todos']),
    receive(26, server.subscribed(1, { key: '[]', mode: 'evaluated' })),
    receive(27, server.rows(1, ['["a"]', '["a"]', '["b"]'])),
    receive(30, server.ready(1, 'x7.41')),
    receive(
      31,
      server.changes(1, 'x7.42', [
        ['d', '["a"]'],
        ['i', '["b"]', '["b"]'],
      ]),
    ),
  ],
  'connection-lost-and-resumed': [
    ...connected,
    ...todos,
    query(35, ['INSERT INTO app.todos VALUES (9)', undefined, undefined, undefined, undefined]),
    closed(100, 1006),
    query(101, ['SELECT 1']),
    at(10_000, 'tick'),
    ...again(10_010, 2),
    receive(10_030, server.subscribed(1, { resumed: true }), 2),
    receive(10_040, server.changes(1, 'x7.42', [['d', '[1]']]), 2),
    // Of the socket before.
    receive(10_041, server.changes(1, 'x7.43', [['d', '[2]']]), 1),
    closed(10_042, 1006, '', 1),
  ],
  'cursor-expired': [
    ...connected,
    ...todos,
    closed(100, 4429, 'SUBSCRIBER_TOO_SLOW'),
    at(10_000, 'tick'),
    ...again(10_010, 2),
    receive(10_030, server.subscribed(1), 2),
    receive(10_031, server.reset(1, 'CURSOR_EXPIRED'), 2),
    receive(10_032, server.rows(1, ['[2,"tea"]', '[3,"jam"]']), 2),
    // Lost before it was complete: nothing was told, the next one starts anew.
    closed(10_033, 4503, 'UNAVAILABLE', 2),
    at(20_000, 'tick'),
    ...again(20_010, 3),
    receive(20_030, server.subscribed(1), 3),
    receive(20_031, server.reset(1, 'CURSOR_EXPIRED'), 3),
    receive(20_032, server.rows(1, ['[2,"tea"]', '[4,"rice"]']), 3),
    receive(20_033, server.ready(1, 'y1.3'), 3),
  ],
  'columns-changed': [
    ...connected,
    ...todos,
    receive(40, server.reset(1, 'SCHEMA_CHANGED')),
    receive(41, server.subscribed(1, { columns: '[{"name":"id"},{"name":"name"}]' })),
    receive(42, server.rows(1, ['[1,"milk"]', '[2,"tea"]'])),
    receive(43, server.ready(1, 'x7.60')),
  ],
  'rows-kept-by-the-host': [
    ...connected,
    subscribe(25, [
      ...['SELECT id, title FROM app.todos', undefined, undefined, 'x7.41', undefined],
      ...['[{"name":"id","type":"int4"},{"name":"title","type":"text"}]', '[0]'],
      '[[1,"milk"],[2,"t,]ea"]]',
    ]),
    receive(26, server.subscribed(1, { resumed: true })),
    receive(27, server.changes(1, 'x7.42', [['d', '[1]']])),
    { call: 'rowCount', arguments: [1] },
    subscribe(30, ['SELECT 1', undefined, undefined, 'x7.41', undefined, '[]', '[0]', '[[1],2]']),
  ],
  queries: [
    seed,
    configure(url, anyKey, 'u1'),
    query(0, ['SELECT 0']),
    at(0, 'connect'),
    query(1, ['SELECT $1', '[1]', 'app', 'array', '', 'once'], 1),
    query(2, ['SELECT 2']),
    at(10, 'opened', 1),
    receive(20, server.authenticated({ messageBytesMax: 100 })),
    receive(30, server.result(2, '[{"command":"SELECT","rows":[[1]]}]')),
    receive(31, server.result(2, '[]')),
    query(40, ['SELECT 3']),
    receive(41, server.error(4, { code: 'QUERY_REJECTED', message: 'no such table' })),
    query(50, ['x'.repeat(100)]),
    query(60, ['SELECT pg_sleep(60)']),
    at(30_060, 'tick'),
    receive(30_061, server.result(6, '[]')),
  ],
  'the-key-is-refused': [
    seed,
    configure(url, anyKey),
    at(0, 'connect'),
    query(1, ['SELECT 1'], 1),
    subscribe(2, ['SELECT 2']),
    at(10, 'opened', 1),
    receive(20, server.error(undefined, { code: 'UNAUTHORIZED', message: 'unknown key' })),
    closed(21, 4401, 'UNAUTHORIZED'),
    at(99_999, 'tick'),
    // With another key it goes on.
    configure(url, `kal_${'b'.repeat(42)}A`),
    at(100_000, 'connect'),
    ...again(100_010, 2),
  ],
  'waits-grow-and-end': [
    seed,
    { call: 'setting', arguments: [3, 3] },
    configure(url, anyKey),
    at(0, 'connect'),
    closed(10, 1006),
    at(200, 'tick'),
    at(500, 'tick'),
    closed(510, 1006, '', 2),
    at(60_000, 'wake'),
    closed(60_010, 1006, '', 3),
    at(70_000, 'tick'),
    // Nobody opens it.
    at(85_000, 'tick'),
  ],
  'silence-and-sleep': [
    ...connected,
    at(10_000, 'tick'),
    at(15_020, 'tick'),
    receive(15_030, server.pong()),
    at(30_030, 'tick'),
    at(40_030, 'tick'),
    // The machine slept: the clock jumps, the socket may be dead.
    at(3_600_000, 'tick'),
    ...again(3_600_010, 2),
    at(7_200_000, 'wake'),
    at(7_210_000, 'tick'),
  ],
  'broken-and-out-of-turn': [
    ...connected,
    ...todos,
    receive(40, Uint8Array.of(0x7f, 1, 2, 3)),
    receive(41, server.changes(1, 'x7.42', [['d', '[1]']]).subarray(0, 8)),
    at(10_000, 'tick'),
    at(10_010, 'opened', 2),
    receive(10_011, server.ready(1, 'x7.1'), 2),
  ],
  'subscriptions-refused': [
    ...connected,
    subscribe(25, ['SELECT random()']),
    receive(26, server.error(1, { code: 'LIVE_REFUSED', message: 'random() is volatile' })),
    subscribe(30, ['SELECT 1']),
    receive(31, server.error(2, { code: 'ENGINE_RESTARTED', message: 'later' })),
    at(60, 'tick'),
    at(1_000, 'tick'),
    receive(1_001, server.unsubscribed(2)),
  ],
}
