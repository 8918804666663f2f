/** H4–H9, SC9, SC13–SC15: the example in a real browser. It prints what takes how long. */
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { browserMissing } from '../support/browsers/browser.js'
import { openTodoWorld, type TodoWorld } from './todo-world.js'

const missing = browserMissing('chromium')
if (missing !== undefined) console.log(`skipped, the example in a browser: ${missing}`)

describe.skipIf(missing !== undefined)('the TODO example', () => {
  let world: TodoWorld
  beforeAll(async () => {
    world = await openTodoWorld()
  })
  afterAll(() => world[Symbol.asyncDispose]())

  const connected = (page: Page) => page.getByText('Connected', { exact: true }).waitFor()
  const disconnected = (page: Page) => page.getByText('Disconnected', { exact: true }).waitFor()
  const titles = (page: Page) => page.locator('li span').allTextContents()
  const item = (page: Page, title: string) => page.locator('li', { hasText: title })
  const openTwo = async () => {
    const one = await world.open()
    await connected(one)
    const other = await world.open({ sharing: one })
    await connected(other)
    return [one, other] as const
  }

  test('H4: what one tab does is in the other, each way', async () => {
    const [one, other] = await openTwo()
    await one.getByLabel('New todo').fill('  buy milk ')
    await one.getByRole('button', { name: 'Add' }).click()
    await item(other, 'buy milk').waitFor()
    await item(other, 'buy milk').getByRole('checkbox').click()
    await one.locator('li.completed', { hasText: 'buy milk' }).waitFor()
    await world.keepPicture(one, 'connected')
    await other.getByRole('button', { name: 'Delete buy milk' }).click()
    await item(one, 'buy milk').waitFor({ state: 'detached' })
    // Blank titles are nothing to do.
    await one.getByLabel('New todo').fill('   ')
    expect(await one.getByRole('button', { name: 'Add' }).isDisabled()).toBe(true)
    console.log(`example: a todo from tab to tab: ${await latencies(one, other)}`)
    await world.sql('DELETE FROM app.todos')
    await one.context().close()
  })

  test('H9: two tabs delete the same todo', async () => {
    const [one, other] = await openTwo()
    await world.sql("INSERT INTO app.todos (title) VALUES ('twice')")
    for (const page of [one, other]) await item(page, 'twice').waitFor()
    // Neither hears of the other's in time.
    const release = world.relay.hold()
    const button = 'button[aria-label="Delete twice"]'
    await Promise.all([one, other].map((page) => page.locator(button).dispatchEvent('click')))
    release()
    for (const page of [one, other]) {
      await item(page, 'twice').waitFor({ state: 'detached' })
      expect(await page.getByRole('alert').count()).toBe(0)
    }
    await one.context().close()
  })

  test('H7: the server is killed and comes back', async () => {
    const [one, other] = await openTwo()
    await world.sql("INSERT INTO app.todos (title) VALUES ('before')")
    await item(one, 'before').waitFor()
    const killedAt = performance.now()
    await world.killServer()
    await disconnected(one)
    console.log(`example: a killed server is seen after ${msSince(killedAt)}`)
    await world.keepPicture(one, 'disconnected')
    for (const control of ['New todo', 'Delete before'])
      expect(await one.getByLabel(control).isDisabled()).toBe(true)
    expect(await one.getByRole('checkbox').isDisabled()).toBe(true)

    await world.startServer()
    await world.sql("INSERT INTO app.todos (title) VALUES ('meanwhile')")
    await connected(one)
    for (const page of [one, other]) {
      await item(page, 'meanwhile').waitFor()
      expect(await titles(page)).toEqual(['meanwhile', 'before'])
    }
    expect(await one.getByLabel('New todo').isDisabled()).toBe(false)
    await world.sql('DELETE FROM app.todos')
    await one.context().close()
  })

  test('H5, H6: cached rows are shown at once; 1,000 missed changes come', async () => {
    const before = await world.open()
    await connected(before)
    await world.sql(
      "INSERT INTO app.todos (title) SELECT 'todo ' || n FROM generate_series(1, 500) n",
    )
    await expect.poll(() => before.locator('li').count()).toBe(500)
    await before.waitForFunction(() =>
      Object.values(localStorage).some((text) => String(text).includes('todo 500')),
    )
    await before.goto('about:blank')
    world.relay.cut()
    const offline = await world.open({ sharing: before, before: watchFirstPaint })
    await expect.poll(() => offline.locator('li').count()).toBe(500)
    console.log(
      `example: 500 cached todos are there ${await paintMs(offline)} ms after the page began`,
    )
    await disconnected(offline)
    expect(await offline.getByLabel('New todo').isDisabled()).toBe(true)

    await world.sql(`INSERT INTO app.todos (title) SELECT 'new ' || n FROM generate_series(1, 400) n;
      UPDATE app.todos SET completed = true WHERE title LIKE 'todo %' AND id % 2 = 0;
      DELETE FROM app.todos WHERE title LIKE 'todo %' AND id % 2 = 1`)
    await world.sql(
      "INSERT INTO app.todos (title) SELECT 'last ' || n FROM generate_series(1, 100) n",
    )
    world.relay.mend()
    await connected(offline)
    const connectedAt = performance.now()
    await item(offline, 'last 100').waitFor()
    console.log(`example: 1,000 missed changes are there ${msSince(connectedAt)} after connecting`)
    await expect.poll(() => offline.locator('li').count()).toBe(750)
    expect(await offline.locator('li.completed').count()).toBe(250)
    await world.sql('DELETE FROM app.todos')
    await offline.context().close()
  })

  test.each([
    [
      'full',
      () => {
        Storage.prototype.setItem = () => {
          throw new DOMException('full', 'QuotaExceededError')
        }
      },
    ],
    [
      'off',
      () =>
        Object.defineProperty(window, 'localStorage', {
          get: () => {
            throw new DOMException('off', 'SecurityError')
          },
        }),
    ],
  ])('H5: works when storage is %s', async (name, before) => {
    const page = await world.open({ before })
    await connected(page)
    await page.getByLabel('New todo').fill(`storage ${name}`)
    await page.getByLabel('New todo').press('Enter')
    await item(page, `storage ${name}`).waitFor()
    await world.sql('DELETE FROM app.todos')
    await page.context().close()
  })

  test('H4: works over a slow network', async () => {
    world.relay.slow(400)
    const page = await world.open({ dark: true })
    await connected(page)
    await page.getByLabel('New todo').fill('slowly')
    await page.getByLabel('New todo').press('Enter')
    await item(page, 'slowly').waitFor()
    await world.keepPicture(page, 'dark')
    world.relay.slow(0)
    await world.sql('DELETE FROM app.todos')
    await page.context().close()
  })

  test('E3: says that WebAssembly is missing', async () => {
    const page = await world.open({ before: () => Reflect.deleteProperty(window, 'WebAssembly') })
    await page.getByText('no WebAssembly').waitFor()
    await world.keepPicture(page, 'no-webassembly')
    await page.context().close()
  })
})

/** How long after one tab has sent a todo the other shows it: both read the machine's clock. */
async function latencies(one: Page, other: Page): Promise<string> {
  await other.evaluate(() => {
    const seen: Record<string, number> = {}
    Object.assign(window, { seen })
    new MutationObserver(() => {
      for (const { textContent } of document.querySelectorAll('li span'))
        seen[textContent] ??= Date.now()
    }).observe(document.body, { childList: true, subtree: true })
  })
  const samples: number[] = []
  for (let n = 0; n < 30; n += 1) {
    const title = `sample ${n}`
    await one.getByLabel('New todo').fill(title)
    const sentAt = await one.evaluate(() => {
      document.querySelector('form')?.requestSubmit()
      return Date.now()
    })
    const seenAt = await other.waitForFunction(
      (wanted) => (window as unknown as { seen: Record<string, number> }).seen[wanted],
      title,
    )
    samples.push(Number(await seenAt.jsonValue()) - sentAt)
  }
  samples.sort((a, b) => a - b)
  return `p50 ${samples[15]} ms, p95 ${samples[28]} ms`
}

function watchFirstPaint(): void {
  const observer = new MutationObserver(() => {
    if (document.querySelector('li') === null) return
    observer.disconnect()
    requestAnimationFrame(() => Object.assign(window, { paintedMs: performance.now() }))
  })
  observer.observe(document, { childList: true, subtree: true })
}

async function paintMs(page: Page): Promise<number> {
  const painted = await page.waitForFunction(
    () => (window as unknown as { paintedMs?: number }).paintedMs,
  )
  return Math.round(Number(await painted.jsonValue()))
}

function msSince(startedMs: number): string {
  return `${Math.round(performance.now() - startedMs)} ms`
}
