/** Power cuts, simulated: what the disk had been made to keep is all there is afterwards. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { countOf } from '../support/counts.js'
import { copyOfTemplateOnDisk } from '../support/engine.js'
import { prepareFolder, recover, writeAndKill } from '../support/crash/crash.js'

/** `npm run test:long` asks for more. */
const cycles = countOf('KALAM_TEST_POWER_CYCLES', 4)

let prepared: string
beforeAll(async () => {
  prepared = copyOfTemplateOnDisk()
  await prepareFolder(prepared)
})
afterAll(() => rmSync(join(prepared, '..'), { recursive: true, force: true }))

/** One power cut under write load; answers what was acknowledged and what a new start finds. */
async function cutPower(settings: Readonly<Record<string, string>>) {
  const home = mkdtempSync(join(tmpdir(), 'kalam-power-'))
  const [folder, shadow] = [join(home, 'data'), join(home, 'shadow')]
  cpSync(prepared, folder, { recursive: true })
  cpSync(prepared, shadow, { recursive: true })
  const disk = new URL('../support/disks/power-loss.mjs', import.meta.url)
  for (const [name, value] of Object.entries({ folder, shadow, ...settings }))
    disk.searchParams.set(name, value)
  try {
    const acknowledged = await writeAndKill({ folder, first: 0, diskModule: disk.href })
    return { acknowledged, recovered: await recover(shadow, acknowledged) }
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

test.each(['sync', 'at-once'])(
  `K1: a power cut loses nothing acknowledged (data files land: %s), ${cycles} times`,
  { timeout: cycles * 30_000 },
  async (land) => {
    let total = 0
    for (let cycle = 0; cycle < cycles; cycle++) {
      const { acknowledged, recovered } = await cutPower({ land })
      expect(acknowledged.length).toBeGreaterThan(0)
      expect(recovered.missing).toEqual([])
      expect(recovered).toMatchObject({ counter: recovered.rows, indexed: recovered.rows })
      total += acknowledged.length
    }
    console.log(`power (${land}): ${cycles} cuts, ${total} transactions acknowledged, 0 lost`)
  },
)

test('the simulation notices a disk that lies about its WAL', async () => {
  const lost = await cutPower({ land: 'at-once', lie: 'wal' }).then(
    ({ recovered }) => recovered.missing.length > 0 || recovered.counter !== recovered.rows,
    () => true,
  )
  expect(lost).toBe(true)
})
