/**
 * D5, F2: `kalam subscribe` beside a real server that is stopped and killed under writes. What was
 * acknowledged is printed, in order and once, whatever happened in between.
 */
import { expect, test } from 'vitest'
import { kalam } from '../support/kalam.js'
import { startKalam, type RunningKalam } from '../support/running-kalam.js'
import { closePlace, endServer, openPlace, serve, type Place } from '../support/server-process.js'

interface Line {
  readonly type: string
  readonly row?: { readonly n: number; readonly t?: string }
  readonly key?: readonly number[]
  readonly cursor: string | null
}

/** Runs SQL with the command line, which finds the token by itself; whether it was acknowledged. */
async function sql({ home, url }: Place, text: string): Promise<boolean> {
  return (await kalam(['-q', '-c', text], { home, env: { KALAM_URL: url } })).exit === 0
}

async function nextLine(run: RunningKalam): Promise<Line> {
  return JSON.parse(await run.line()) as Line
}

test('D5: followed through restarts and kill -9, nothing is missed and nothing comes twice', async () => {
  const place = await openPlace()
  let server = await serve(place)
  await sql(place, 'create shared table log (n int primary key, t text)')
  await sql(place, "insert into log values (0, 'first')")
  const env = { KALAM_URL: place.url }
  const args = ['subscribe', 'SELECT n, t FROM log WHERE n >= 0', '--format', 'json']
  await using run = startKalam(args, { home: place.home, env })
  expect(await nextLine(run)).toMatchObject({ type: 'snapshot', row: { n: 0 } })
  expect(await nextLine(run)).toMatchObject({ type: 'ready' })

  const acknowledged: number[] = []
  let n = 0
  for (const signal of ['SIGKILL', 'SIGTERM', 'SIGKILL', 'SIGKILL'] as const) {
    for (let i = 0; i < 3; i++) {
      n += 1
      if (await sql(place, `insert into log values (${n}, 'x'), (${-n}, 'y')`)) acknowledged.push(n)
    }
    n += 1
    const last = n
    // Under way when the server ends: it may be kept or not.
    const underWay = sql(place, `insert into log select ${last}, 'w' from generate_series(1, 1)`)
    await endServer(server, signal)
    if (await underWay) acknowledged.push(last)
    server = await serve(place)
  }
  await sql(place, "update log set t = 'end' where n = 0")

  const lines: Line[] = []
  do lines.push(await nextLine(run))
  while (lines.at(-1)?.row?.t !== 'end')
  expect(lines.every(({ type }) => type === 'insert' || type === 'update')).toBe(true)
  const inserted = lines.flatMap(({ type, row }) => (type === 'insert' && row ? [row.n] : []))
  expect(inserted).toEqual([...new Set(inserted)].sort((a, b) => a - b))
  expect(acknowledged.filter((each) => !inserted.includes(each))).toEqual([])
  const cursors = lines.map(({ cursor }) => cursor ?? '')
  expect(cursors).toEqual([...cursors].sort())
  expect(run.stderr).toContain('connected again')

  run.interrupt()
  expect(await run.exit).toBe(0)

  // What it printed last is where another one continues.
  await sql(place, 'delete from log where n = 0')
  const from = ['--from', lines.at(-1)?.cursor ?? '']
  await using later = startKalam([...args, ...from], { home: place.home, env })
  expect(await nextLine(later)).toMatchObject({ type: 'delete', key: [0] })
  later.interrupt()
  await later.exit

  await endServer(server, 'SIGTERM')
  closePlace(place)
}, 240_000)

test('D3: a query that is evaluated anew is told from the start after a restart', async () => {
  const place = await openPlace()
  let server = await serve(place)
  await sql(place, 'create shared table log (n int primary key)')
  const args = ['-c', 'SUBSCRIBE TO SELECT count(*)::int AS n FROM log', '--format', 'json']
  await using run = startKalam(args, { home: place.home, env: { KALAM_URL: place.url } })
  expect(await nextLine(run)).toMatchObject({ type: 'snapshot', row: { n: 0 } })
  expect(await nextLine(run)).toMatchObject({ type: 'ready' })
  await sql(place, 'insert into log values (1), (2)')
  const before = [await nextLine(run), await nextLine(run)]
  expect(before.find(({ type }) => type === 'insert')).toMatchObject({ row: { n: 2 } })
  await endServer(server, 'SIGKILL')
  server = await serve(place)
  const after: Line[] = []
  do after.push(await nextLine(run))
  while (after.at(-1)?.type !== 'ready')
  expect(after[0]).toMatchObject({ type: 'reset', reason: 'EVALUATED' })
  expect(after[1]).toMatchObject({ type: 'snapshot', row: { n: 2 } })
  run.interrupt()
  expect(await run.exit).toBe(0)
  await endServer(server, 'SIGTERM')
  closePlace(place)
}, 120_000)
