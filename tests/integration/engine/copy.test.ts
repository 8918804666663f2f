/** COPY below SQL doors: data streams past the reply, waits for both ends, and leaves nothing. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dataRows, firstError } from '#src/engine/backend-messages.js'
import type { CopyStream, Unit } from '#src/engine/engine.js'
import { DbError } from '#src/errors.js'
import { MessageWriter } from '#src/engine/frontend-messages.js'
import { openTestEngine, rowsOf, unit, type TestEngine } from '../../support/engine.js'

let opened: TestEngine

beforeAll(async () => {
  opened = await openTestEngine({ settings: { 'engine.cancel_grace_ms': 2_000 } })
  await opened.engine.run(unit('CREATE TABLE copied (n int, word text)'))
})
afterAll(async () => {
  await opened[Symbol.asyncDispose]()
})

/** Both protocols, for the data of COPY stands elsewhere in each. */
const protocols = [
  ['simple', (sql: string) => new MessageWriter().query(sql).finish()],
  [
    'extended',
    (sql: string) => new MessageWriter().parse('', sql).bind('', []).execute().sync().finish(),
  ],
] as const

function copyUnit(bytes: Uint8Array, copy: CopyStream, options: Partial<Unit> = {}): Unit {
  return { ...unit(''), bytes, copy, ...options }
}

// eslint-disable-next-line @typescript-eslint/require-await
async function* pieces(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text)
}

async function count(): Promise<string | null | undefined> {
  return rowsOf(await opened.engine.run(unit('SELECT count(*) FROM copied')))[0]?.[0]
}

/** The payload of CopyData messages. */
function payload(messages: readonly Uint8Array[]): string {
  const bytes = Buffer.concat(messages)
  let text = ''
  for (let at = 0; at < bytes.length; at += 1 + bytes.readInt32BE(at + 1))
    if (bytes[at] === 0x64)
      text += bytes.toString('utf8', at + 5, at + 1 + bytes.readInt32BE(at + 1))
  return text
}

test.each(protocols)('%s: rows come in, in pieces cut anywhere', async (_name, encode) => {
  await opened.engine.run(unit('TRUNCATE copied'))
  const input = pieces('1\tone\n2\tt', '', 'wo\n3', `\t${'x'.repeat(100_000)}\n`)
  const reply = await opened.engine.run(copyUnit(encode('COPY copied FROM STDIN'), { input }))
  expect(firstError(reply)).toBeUndefined()
  const rows = await opened.engine.run(
    unit('SELECT n, left(word, 3), length(word) FROM copied ORDER BY n'),
  )
  expect(rowsOf(rows)).toEqual([
    ['1', 'one', '3'],
    ['2', 'two', '3'],
    ['3', 'xxx', '100000'],
  ])
})

test.each(protocols)('%s: rows go out beside the reply', async (_name, encode) => {
  const sql = `COPY (SELECT g, repeat('x', g % 300) FROM generate_series(1, 20000) g) TO STDOUT`
  const taken: Uint8Array[] = []
  const output = async (bytes: Uint8Array): Promise<void> => {
    await Promise.resolve()
    taken.push(bytes)
  }
  const reply = await opened.engine.run(copyUnit(encode(sql), { output }))
  expect(firstError(reply)).toBeUndefined()
  expect(reply.length).toBeLessThan(100)
  const lines = payload(taken).split('\n')
  expect(lines).toHaveLength(20_001)
  expect(lines[19_999]).toBe(`20000\t${'x'.repeat(200)}`)
})

test.each(protocols)('%s: a bad line keeps nothing, and tells where', async (_name, encode) => {
  await opened.engine.run(unit('TRUNCATE copied'))
  const input = pieces('1\tone\n', 'two\ttwo\n', '3\tthree\n'.repeat(100_000))
  const reply = await opened.engine.run(copyUnit(encode('COPY copied FROM STDIN'), { input }))
  expect(firstError(reply)).toMatchObject({
    sqlState: '22P02',
    fields: { where: 'COPY copied, line 2, column n: "two"' },
  })
  expect(await count()).toBe('0')
})

test.each(protocols)('%s: input that fails ends COPY with its reason', async (_name, encode) => {
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield* pieces('1\tone\n')
    throw new Error('the sender is gone')
  }
  const unitOfCopy = copyUnit(encode('COPY copied FROM STDIN'), { input: broken() })
  expect(firstError(await opened.engine.run(unitOfCopy))).toMatchObject({
    sqlState: '57014',
    message: 'COPY from stdin failed: the sender is gone',
  })
  expect(await count()).toBe('0')
})

test.each(protocols)('%s: without input it fails, and the engine stays', async (_name, encode) => {
  const reply = await opened.engine.run(copyUnit(encode('COPY copied FROM STDIN'), {}))
  expect(firstError(reply)?.sqlState).toBe('57014')
  expect(await count()).toBe('0')
})

test('input that comes for ever without data is ended by the deadline', async () => {
  const never = {
    [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }),
  }
  const { generation } = opened.engine
  const waiting = copyUnit(
    new MessageWriter().query('COPY copied FROM STDIN').finish(),
    { input: never },
    { timeoutMs: 50 },
  )
  await expect(opened.engine.run(waiting)).rejects.toMatchObject({ code: 'STATEMENT_TIMEOUT' })
  expect(opened.engine.generation).toBe(generation)
  expect(await count()).toBe('0')
})

test('PostgreSQL waits for who takes the output, until the unit is cancelled', async () => {
  let bytesTaken = 0
  const stuck = (bytes: Uint8Array): Promise<void> => {
    bytesTaken += bytes.length
    // At a pace at which all of it would take hours.
    return new Promise((resolve) => setTimeout(resolve, 50))
  }
  const endless = copyUnit(
    new MessageWriter()
      .query(`COPY (SELECT repeat('x', 1000) FROM generate_series(1, 100000000)) TO STDOUT`)
      .finish(),
    { output: stuck },
    { timeoutMs: 200 },
  )
  await expect(opened.engine.run(endless)).rejects.toMatchObject({ code: 'STATEMENT_TIMEOUT' })
  expect(bytesTaken).toBeLessThan(4 * 1024 * 1024)
  expect(await count()).toBe('0')
})

test('output that cannot be taken fails the unit, with its own error', async () => {
  const full = (): Promise<void> => Promise.reject(new Error('no room'))
  for (const rows of [1, 1_000_000]) {
    const sql = `COPY (SELECT repeat('x', 100) FROM generate_series(1, ${rows})) TO STDOUT`
    const copying = copyUnit(new MessageWriter().query(sql).finish(), { output: full })
    await expect(opened.engine.run(copying)).rejects.toMatchObject({
      code: 'INTERNAL',
      cause: new Error('no room'),
    })
  }
})

test('what follows COPY in its unit is no data of it', async () => {
  await opened.engine.run(unit('TRUNCATE copied'))
  const step = (writer: MessageWriter, sql: string) => writer.parse('', sql).bind('', []).execute()
  const bytes = ['COPY copied FROM STDIN', `INSERT INTO copied VALUES (2, 'after')`]
    .reduce(step, new MessageWriter())
    .sync()
    .finish()
  const { generation } = opened.engine
  const reply = await opened.engine.run(copyUnit(bytes, { input: pieces('1\tone\n') }))
  expect(firstError(reply)).toBeUndefined()
  expect(await count()).toBe('2')
  expect(firstError(await opened.engine.run(copyUnit(bytes, {})))?.sqlState).toBe('57014')
  expect(opened.engine.generation).toBe(generation)
})

test('several in one transaction of a session', async () => {
  await opened.engine.run(unit('TRUNCATE copied'))
  const session = opened.engine.openSession()
  await session.run(unit('BEGIN'))
  const encode = protocols[0][1]
  for (const n of [1, 2])
    await session.run(
      copyUnit(encode('COPY copied FROM STDIN'), { input: pieces(`${n}\tx\n`, `${n}\ty\n`) }),
    )
  expect(dataRows(await session.run(unit('SELECT count(*) FROM copied')))).toEqual([['4']])
  await session.run(unit('ROLLBACK'))
  await session.close()
  expect(await count()).toBe('0')
})

describe('an answer in parts', () => {
  const many = (takePart: Unit['takePart']): Unit => ({
    ...unit(''),
    bytes: new MessageWriter()
      .parse(
        '',
        `INSERT INTO copied SELECT n, repeat('x', 1000) FROM generate_series(1, 5000) n RETURNING *`,
      )
      .bind('', [])
      .execute()
      .sync()
      .finish(),
    replyBytesMax: 10_000,
    takePart,
  })

  test('is the whole answer, and its end the reply', async () => {
    await opened.engine.run(unit('TRUNCATE copied'))
    const parts: Uint8Array[] = []
    const takePart = (part: Uint8Array): Promise<void> => {
      parts.push(part)
      return Promise.resolve()
    }
    const reply = await opened.engine.run(many(takePart))
    expect(dataRows(Buffer.concat([...parts, reply]))).toHaveLength(5000)
    expect(Buffer.from(reply).toString('latin1', 0, 1)).toBe('Z')
    expect(await count()).toBe('5000')
  })

  test.each(['is not taken', 'is cancelled meanwhile'])('that %s is of nothing', async (how) => {
    await opened.engine.run(unit('TRUNCATE copied'))
    const { generation } = opened.engine
    const running: Unit = many(() => {
      if (how === 'is not taken') return Promise.reject(new DbError('DISK_FULL', 'no room'))
      opened.engine.cancel(running)
      // Answered when the engine has given up waiting for this one to be taken.
      return opened.engine.run(unit('SELECT 1')).then(() => undefined)
    })
    await expect(opened.engine.run(running)).rejects.toMatchObject({
      code: how === 'is not taken' ? 'DISK_FULL' : 'CANCELLED',
    })
    expect(await count()).toBe('0')
    expect(opened.engine.generation).toBe(generation)
  })
})
