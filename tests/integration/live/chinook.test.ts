import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { chinookQuestions } from '../../data/chinook-questions.js'
import { openLiveServer, type LiveServer } from '../../support/live-server.js'

let live: LiveServer

beforeAll(async () => {
  live = await openLiveServer()
  const file = fileURLToPath(new URL('../../data/chinook.sql', import.meta.url))
  await live.run(live.root, await readFile(file, 'utf8'))
})
afterAll(() => live.close())

test(
  'D3: all twenty questions are live: after each change their rows are those of a fresh run',
  { timeout: 120_000 },
  async () => {
    const receivers = await Promise.all(
      chinookQuestions.map(({ sql }) => live.watch(live.root, sql)),
    )
    for (const change of [
      `update customer set country = 'Norway' where customer_id in (1, 5, 9)`,
      `delete from invoice_line where invoice_line_id % 17 = 0`,
      `update track set unit_price = unit_price + 1 where track_id % 10 = 0`,
      `insert into invoice_line (invoice_line_id, invoice_id, track_id, unit_price, quantity)
     select 100000 + g, g, g, 5.55, 2 from generate_series(1, 50) g`,
      `update invoice set total = total * 2 where invoice_id % 5 = 0`,
      `update employee set reports_to = 1 where employee_id > 3`,
    ]) {
      await live.run(live.root, change)
      for (const [index, { sql, title }] of chinookQuestions.entries()) {
        const receiver = receivers[index]
        const fresh = await live.watch(live.root, sql)
        await receiver?.until(title, () => receiver.sorted().join() === fresh.sorted().join())
        fresh.close()
      }
    }
    for (const receiver of receivers) {
      expect(receiver.ended).toBeUndefined()
      expect(receiver.faults).toEqual([])
      receiver.close()
    }
  },
)
