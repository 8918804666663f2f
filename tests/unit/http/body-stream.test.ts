import { expect, test } from 'vitest'
import { BodyStream } from '#src/http/body-stream.js'
import { readQuery } from '#src/http/query-text.js'

const MiB = 1024 * 1024

function openStream() {
  const steps: string[] = []
  const stream = new BodyStream({
    pause: () => steps.push('pause'),
    resume: () => steps.push('resume'),
  })
  return { stream, steps }
}

test('the sender waits while more than 1 MiB is unread', async () => {
  const { stream, steps } = openStream()
  stream.push(Buffer.alloc(MiB), false)
  expect(steps).toEqual([])
  stream.push(Buffer.alloc(1), false)
  stream.push(Buffer.alloc(1), false)
  expect(steps).toEqual(['pause'])
  const reader = stream[Symbol.asyncIterator]()
  for (const bytes of [MiB, 1, 1]) expect((await reader.next()).value).toHaveLength(bytes)
  const last = reader.next()
  expect(steps).toEqual(['pause', 'resume'])
  stream.push(Buffer.from('end'), true)
  expect((await last).value).toEqual(Buffer.from('end'))
  expect((await reader.next()).done).toBe(true)
})

test('a sender that leaves is told to the reader', async () => {
  const { stream } = openStream()
  const reading = stream[Symbol.asyncIterator]().next()
  stream.leave()
  await expect(reading).rejects.toMatchObject({ code: 'CANCELLED' })
})

test('what is drained is thrown away, up to a bound', async () => {
  const { stream, steps } = openStream()
  for (let n = 0; n < 2; n++) stream.push(Buffer.alloc(MiB), false)
  const drained = stream.drain(MiB)
  expect(steps).toEqual(['pause', 'resume'])
  stream.push(Buffer.alloc(MiB), false)
  stream.push(Buffer.alloc(1), false)
  await drained
  const other = openStream().stream
  other.push(Buffer.alloc(1), true)
  await other.drain(0)
})

test('a query is read strictly', () => {
  const read = (query: string) => Object.fromEntries(readQuery(query, ['sql', 'namespace']))
  expect(read('sql=COPY+t%2B%20%C3%A4&namespace=a')).toEqual({ sql: 'COPY t+ ä', namespace: 'a' })
  expect(read('sql=a=b&')).toEqual({ sql: 'a=b' })
  expect(read('')).toEqual({})
  for (const query of ['sq=1', 'sql=1&sql=2', 'sql=%ff', 'sql=%', '%=1'])
    expect(() => read(query)).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }))
})
