import { expect, test } from 'vitest'
import { NotificationHub } from '#src/database/wire/notification-hub.js'

/** A hub, and what it has PostgreSQL do. */
function openHub(onQuery: (sql: string) => void = () => undefined) {
  const asked: string[] = []
  const query = (sql: string) => {
    asked.push(sql)
    onQuery(sql)
    return Promise.resolve({ columns: [], rows: [], command: '', rowCount: 0 })
  }
  const engine = { onNotification: () => () => undefined }
  const hub = new NotificationHub(engine, { query }, (cause) => expect.unreachable(String(cause)))
  return { hub, asked }
}

const listener = () => undefined
const turn = () => new Promise((resolve) => setImmediate(resolve))
/** One more than are listened to for nobody. */
const channels = Array.from({ length: 1_001 }, (_, n) => `c${n}`)

test('of channels that nobody listens to, the oldest of too many is given up for good', async () => {
  const { hub, asked } = openHub()
  for (const channel of channels) {
    hub.listen(channel, listener)
    hub.unlisten(channel, listener)
  }
  await turn()
  expect(asked).toEqual(['UNLISTEN "c0"'])
})

test('unless somebody begins to listen to it meanwhile', async () => {
  const { hub, asked } = openHub((sql) => {
    if (sql.startsWith('UNLISTEN')) hub.listen('c0', listener)
  })
  for (const channel of channels) {
    hub.listen(channel, listener)
    hub.unlisten(channel, listener)
  }
  await turn()
  expect(asked).toEqual(['UNLISTEN "c0"', 'LISTEN "c0"'])
})
