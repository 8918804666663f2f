import { spawn } from 'node:child_process'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { openTestEngine, rowsOf, unit } from '../engine.js'

const writer = fileURLToPath(new URL('./engine-writer.mjs', import.meta.url))

/** Makes the tables that the writer writes to. */
export async function prepareFolder(folder: string): Promise<void> {
  await using opened = await openTestEngine({ folder })
  await opened.engine.run(
    unit(`CREATE TABLE written (id int PRIMARY KEY, v text, n int);
          CREATE INDEX ON written (n); CREATE TABLE counter (n int); INSERT INTO counter VALUES (0)`),
  )
}

/** Lets a process write for a random time and kills it; answers what it had acknowledged. */
export async function writeAndKill(options: {
  readonly folder: string
  readonly first: number
  readonly diskModule?: string
}): Promise<number[]> {
  const { folder, first, diskModule } = options
  const args = [writer, folder, String(first), ...(diskModule === undefined ? [] : [diskModule])]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  const writing = new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (data: Buffer) => {
      output += data.toString()
      if (/ready\n\d+\n/.test(output)) resolve()
    })
    child.once('exit', (code) => reject(new Error(`the writer ended by itself with ${code}`)))
  })
  await writing
  // The moment of the crash is the point of the test: it must not be one the writer can choose.
  await wait(200 + Math.random() * 800)
  child.removeAllListeners('exit')
  // `close` comes after the exit and after the last byte of output.
  const ended = new Promise((resolve) => child.once('close', resolve))
  child.kill('SIGKILL')
  await ended
  const lines = output.split('\n').slice(0, -1)
  return lines.filter((line) => line !== 'ready').map(Number)
}

export interface Recovered {
  /** Acknowledged numbers that are not in the table. */
  readonly missing: readonly number[]
  readonly rows: number
  readonly counter: number
  /** Rows counted through the primary key's index. */
  readonly indexed: number
  readonly highest: number
}

/** Opens the folder as after a crash and compares it with what was acknowledged. */
export async function recover(folder: string, acknowledged: readonly number[]): Promise<Recovered> {
  await using opened = await openTestEngine({ folder })
  const rows = async (sql: string) => rowsOf(await opened.engine.run(unit(sql)))
  const ids = new Set((await rows('SELECT id FROM written')).map(([id]) => Number(id)))
  const [[counter]] = (await rows('SELECT n FROM counter')) as [[string]]
  const indexed = await rows(
    `SET enable_seqscan = off; SET enable_bitmapscan = off;
     SELECT count(*) FROM (SELECT id FROM written ORDER BY id) ordered; RESET ALL`,
  )
  return {
    missing: acknowledged.filter((number) => !ids.has(number)),
    rows: ids.size,
    counter: Number(counter),
    indexed: Number(indexed[0]?.[0]),
    highest: Math.max(0, ...ids),
  }
}
