/** E3, C1 to C4, C10: the same statements give the same through every door; browsers: tests/browser. */
import { createClient, KalamError } from 'kalam-link'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTestServer, type TestServer } from '../support/server.js'
import { enterSocket } from '../support/socket-client.js'
import {
  caseTables,
  goldenCases,
  statementCases,
  type Outcome,
  type StatementCase,
} from './statement-cases.js'

interface Door extends AsyncDisposable {
  run(asked: StatementCase): Promise<Outcome>
}

const settings = { 'socket.message_bytes_max': 4 * 1024 * 1024 }
let server: TestServer

beforeAll(async () => {
  server = await openTestServer({ settings })
})
afterAll(() => server.close())

const doors = {
  HTTP: () => Promise.resolve(openHttp()),
  'the WebSocket': openSocketDoor,
  'the SDK': () => Promise.resolve(openSdk()),
} as const satisfies Record<string, () => Promise<Door>>

describe.each(Object.entries(doors))('%s', (name, open) => {
  let door: Door

  beforeAll(async () => {
    await server.sql(caseTables)
    door = await open()
  })
  afterAll(() => door[Symbol.asyncDispose]())

  test.each(statementCases(name.replaceAll(' ', '-')))('$name', async (asked) => {
    expect(await door.run(asked)).toMatchObject(expectedOf(asked))
  })

  test('C4: values of every type', async () => {
    for (const asked of goldenCases())
      expect(await door.run(asked), asked.name).toMatchObject(expectedOf(asked))
  })
})

function expectedOf({ results, error }: StatementCase): object {
  return results === undefined ? { error } : { results }
}

/** Several statements in one text, with one list of parameters each. */
function messageOf({ statements, options = {} }: StatementCase) {
  const { namespace, transaction } = options
  const lists = statements.map(({ params = [] }) => params)
  const [params] = lists.length === 1 ? lists : [lists]
  return {
    sql: statements.map(({ sql }) => sql).join(';\n'),
    ...(lists.some(({ length }) => length > 0) ? { params } : {}),
    ...(namespace === undefined ? {} : { namespace }),
    ...(transaction === undefined ? {} : { transaction }),
  }
}

function openHttp(): Door {
  return {
    run: async (asked) => {
      const key = asked.options?.idempotencyKey
      const headers = key === undefined ? {} : { 'idempotency-key': key }
      const { sql, ...more } = messageOf(asked)
      return outcomeOf((await server.request(sql, { ...more, headers })).body)
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

async function openSocketDoor(): Promise<Door> {
  const socket = await enterSocket(server)
  let id = 0
  return {
    run: async (asked) => {
      const key = asked.options?.idempotencyKey
      const keyed = key === undefined ? {} : { idempotency_key: key }
      socket.send({ type: 'query', id: ++id, ...messageOf(asked), ...keyed })
      return outcomeOf(await socket.next())
    },
    [Symbol.asyncDispose]: () => socket[Symbol.asyncDispose](),
  }
}

interface Answer {
  readonly results?: readonly {
    readonly command: string
    readonly rows: readonly unknown[]
    readonly row_count: number
  }[]
  readonly error?: object
}

function outcomeOf({ results, error }: Answer): Outcome {
  if (results === undefined) return { error: { ...error } }
  return {
    results: results.map(({ command, rows, row_count }) => ({
      ...{ command, rows, rowCount: row_count },
    })),
  }
}

function openSdk(): Door {
  const client = createClient({ url: server.url, apiKey: server.adminKey })
  return {
    run: async ({ statements, options }) => {
      try {
        return { results: await client.batch(statements, options) }
      } catch (error) {
        if (error instanceof KalamError) return { error: { ...error.details } }
        throw error
      }
    },
    [Symbol.asyncDispose]: () => {
      client.close()
      return Promise.resolve()
    },
  }
}
