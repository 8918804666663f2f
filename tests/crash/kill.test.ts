import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { countOf } from '../support/counts.js'
import { copyOfTemplateOnDisk } from '../support/engine.js'
import { prepareFolder, recover, writeAndKill } from '../support/crash/crash.js'

/** `npm run test:long` asks for more. */
const cycles = countOf('KALAM_TEST_KILL_CYCLES', 12)

test(
  `K1: kill -9 under write load, ${cycles} times: nothing acknowledged is lost`,
  { timeout: cycles * 20_000 },
  async () => {
    const folder = copyOfTemplateOnDisk()
    await prepareFolder(folder)
    let acknowledged: number[] = []
    let highest = 0
    for (let cycle = 0; cycle < cycles; cycle++) {
      const more = await writeAndKill({ folder, first: highest })
      expect(more.length).toBeGreaterThan(0)
      acknowledged = acknowledged.concat(more)
      const recovered = await recover(folder, acknowledged)
      expect(recovered.missing).toEqual([])
      expect(recovered).toMatchObject({ counter: recovered.rows, indexed: recovered.rows })
      highest = recovered.highest
    }
    console.log(`kill: ${cycles} cycles, ${acknowledged.length} transactions acknowledged, 0 lost`)
    rmSync(join(folder, '..'), { recursive: true, force: true })
  },
)
