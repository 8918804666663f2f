/** Two threads that talk through records and messages: nothing is lost, doubled or out of order. */
import { once } from 'node:events'
import { MessageChannel, Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { Ring } from '#src/engine/pglite/ring.js'
import { ThreadReceiver, ThreadSender } from '#src/engine/pglite/thread-channel.js'

const channelFile = new URL('../../../dist/src/engine/pglite/thread-channel.js', import.meta.url)

/** Sends back what it gets, by the same way; sleeps whenever there is nothing. */
const echo = `
  const { workerData } = require('node:worker_threads')
  import(${JSON.stringify(channelFile.href)}).then(({ ThreadReceiver, ThreadSender }) => {
    const sender = new ThreadSender(workerData.tells)
    const receiver = new ThreadReceiver(workerData.hears, {
      record: (ring, place) => {
        const value = ring.ints[place / 4]
        if (!sender.put(4, (to, at) => { to.ints[at / 4] = value })) sender.post(value)
      },
      message: (value) => sender.post(value),
    })
    receiver.listen(() => {
      do { receiver.takeAll(); sender.wake() } while (!receiver.fallAsleep())
    })
  })
`

/** Sends all numbers up to a count, one way and the other. */
const pour = `
  const { workerData } = require('node:worker_threads')
  import(${JSON.stringify(channelFile.href)}).then(({ ThreadSender }) => {
    const sender = new ThreadSender(workerData.tells)
    for (let value = 0; value < workerData.count; value++) {
      const isRecord = value % 3 > 0 && sender.put(4, (to, at) => { to.ints[at / 4] = value })
      if (!isRecord) sender.post(value)
    }
  })
`

function ends() {
  const { port1, port2 } = new MessageChannel()
  const ring = new Ring().buffer
  return [
    { port: port1, ring },
    { port: port2, ring },
  ] as const
}

test('each comes back in order, by either way, asleep or not', async () => {
  const count = 20_000
  const [sends, hears] = ends()
  const [receives, tells] = ends()
  const worker = new Worker(echo, {
    eval: true,
    workerData: { hears, tells },
    transferList: [hears.port, tells.port],
  })
  const sender = new ThreadSender<number>(sends)
  const came: number[] = []
  let sent = 0
  const sendSome = (): void => {
    // Bursts and single ones, so that the other side sleeps now and then.
    for (const until = Math.min(count, sent + 1 + ((sent * 7) % 40)); sent < until; sent++) {
      const isMessage = sent % 13 === 0 || !sender.put(4, (ring, at) => (ring.ints[at / 4] = sent))
      if (isMessage) sender.post(sent)
    }
    sender.wake()
  }
  await new Promise<void>((resolve) => {
    const take = (value: number | undefined): void => {
      came.push(value ?? -1)
      if (came.length === count) resolve()
    }
    const receiver = new ThreadReceiver<number>(receives, {
      record: (ring, place) => take(ring.ints[place / 4]),
      message: take,
    })
    receiver.listen(() => {
      do receiver.takeAll()
      while (!receiver.fallAsleep())
      if (came.length === sent) sendSome()
    })
    sendSome()
  })
  expect(came).toEqual(Array.from({ length: count }, (_, number) => number))
  receives.port.close()
  sends.port.close()
  await Promise.all([worker.terminate(), once(worker, 'exit')])
})

test('what one thread sends without a pause, the other takes in order without a pause', () => {
  const count = 100_000
  const [sends, hears] = ends()
  const worker = new Worker(pour, {
    eval: true,
    workerData: { tells: sends, count },
    transferList: [sends.port],
  })
  let next = 0
  const take = (value: number | undefined): void => {
    // Not `expect`: it would take longer than what it looks at.
    if (value !== next++) throw new Error(`${value} came in place of ${next - 1}`)
  }
  const receiver = new ThreadReceiver<number>(hears, {
    record: (ring, place) => take(ring.ints[place / 4]),
    message: take,
  })
  const until = performance.now() + 20_000
  while (next < count && performance.now() < until) receiver.takeAll()
  expect(next).toBe(count)
  hears.port.close()
  return worker.terminate()
})

test('a record whose reader fails is passed', () => {
  const [sends, hears] = ends()
  const sender = new ThreadSender<never>(sends)
  const came: (number | undefined)[] = []
  const receiver = new ThreadReceiver<never>(hears, {
    record: (ring, place) => {
      came.push(ring.ints[place / 4])
      if (came.length === 1) throw new Error('of the reader')
    },
    message: () => undefined,
  })
  for (const value of [7, 8]) sender.put(4, (ring, at) => (ring.ints[at / 4] = value))
  expect(() => receiver.takeAll()).toThrow('of the reader')
  receiver.takeAll()
  expect(came).toEqual([7, 8])
  expect(receiver.hasCome).toBe(false)
  sends.port.close()
})
