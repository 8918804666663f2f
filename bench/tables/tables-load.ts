/** The load of the `tables` bench, in a process of its own: statements of one table, many users. */
import { HttpConnection, requestOf } from '../load/http-connection.js'
import { anyIdUpTo, runLoop, type Operation, type Sample } from '../load/sample.js'
import { serveOrders } from '../load/worker-process.js'
import {
  deletableFrom,
  deleteStatement,
  fillStatement,
  isRight,
  liveId,
  liveRows,
  sqlOf,
  tableName,
  type Case,
  type Kind,
  type Scene,
} from './scenes.js'

export type TablesOrder =
  | { readonly kind: 'open'; readonly port: number; readonly apiKeys: readonly string[] }
  | { readonly kind: 'fill'; readonly table: Kind; readonly scene: Scene }
  /** Makes the rows that the next sample of `soft delete` takes. */
  | { readonly kind: 'make deletable'; readonly table: Kind; readonly task: Case }
  | SampleOrder

interface SampleOrder {
  readonly kind: 'sample'
  readonly table: Kind
  readonly task: Case
  /** Not for `soft delete`, which ends when its rows are gone. */
  readonly durationMs: number
}

const inFlight = 64
/** Statements of one sample of `soft delete`, by their rows. */
const deleteStatements = { 1: 3_000, 100: 192 } as const

let connections: readonly HttpConnection[] = []
let apiKeys: readonly string[] = []
/** By table: the id from which on the last deletable rows were made. */
const deletableOf = new Map<string, number>()

serveOrders(answer, () => Promise.resolve())

async function answer(order: TablesOrder): Promise<Sample | undefined> {
  switch (order.kind) {
    case 'open':
      await open(order.port, order.apiKeys)
      return undefined
    case 'fill':
      await fill(order.table, order.scene)
      return undefined
    case 'make deletable':
      await makeDeletable(order.table, order.task)
      return undefined
    case 'sample':
      return order.task.work === 'soft delete' ? sampleDeletes(order) : sampleOthers(order)
  }
}

async function open(port: number, keys: readonly string[]): Promise<void> {
  apiKeys = keys
  connections = await Promise.all(Array.from({ length: inFlight }, () => HttpConnection.open(port)))
}

async function fill(kind: Kind, scene: Scene): Promise<void> {
  const table = tableName(kind, scene)
  const each = scene.rows / scene.users
  await asEachUser(scene, (user) => fillStatement(table, user * each + 1, (user + 1) * each))
  const deleting = deleteStatement(table, scene)
  if (deleting !== undefined) await asEachUser(scene, () => deleting)
}

function sampleOthers({ table, task, durationMs }: SampleOrder): Promise<Sample> {
  const { scene, statementRows } = task
  const usersRows = scene.rows / scene.users
  const aim = (block: number): Aim => {
    const first = liveId(scene, (block - 1) * statementRows)
    const last = liveId(scene, block * statementRows - 1)
    return { first, last, user: Math.floor((first - 1) / usersRows) }
  }
  const nextId = anyIdUpTo(liveRows(scene) / statementRows)
  return runLoop({ durationMs, nextId, lanes: lanesOf(table, task, aim) })
}

/** For each user as many; users take turns in deleting them. */
async function makeDeletable(kind: Kind, task: Case): Promise<void> {
  const { scene, statementRows } = task
  const table = tableName(kind, scene)
  const each = deletionsOfEach(task) * statementRows
  const from = (deletableOf.get(table) ?? deletableFrom) + rowsApart
  deletableOf.set(table, from)
  await asEachUser(scene, (user) =>
    fillStatement(table, from + user * each, from + (user + 1) * each - 1),
  )
}

/** Between the ids of one sample and the next: more than any of them makes. */
const rowsApart = 1_000_000

function deletionsOfEach({ scene, statementRows }: Case): number {
  return Math.max(1, deleteStatements[statementRows] / scene.users)
}

function sampleDeletes({ table: kind, task }: SampleOrder): Promise<Sample> {
  const { scene, statementRows } = task
  const each = deletionsOfEach(task)
  const from = deletableOf.get(tableName(kind, scene)) ?? NaN
  const aim = (statement: number): Aim => {
    const user = (statement - 1) % scene.users
    const own = user * each + Math.floor((statement - 1) / scene.users)
    const first = from + own * statementRows
    return { first, last: first + statementRows - 1, user }
  }
  const nextId = countTo(each * scene.users)
  return runLoop({ durationMs: Infinity, nextId, lanes: lanesOf(kind, task, aim) })
}

function countTo(last: number): () => number | undefined {
  let at = 0
  return () => (at < last ? ++at : undefined)
}

/** What one statement is about, and whose it is. */
interface Aim {
  readonly first: number
  readonly last: number
  readonly user: number
}

function lanesOf(kind: Kind, task: Case, aim: (id: number) => Aim): readonly Operation[] {
  const sql = sqlOf(task, kind)
  return connections.map((connection) => (id, done) => {
    const { first, last, user } = aim(id)
    const range = task.statementRows === 1 ? [first] : [first, last]
    const parameters = task.work === 'insert' ? [`entry ${first}`, `${first % 10_000}.25`] : range
    const isRightAnswer = (text: string) => isRight(task, text, first)
    ask({ connection, user, sql, parameters, isRight: isRightAnswer, done })
  })
}

async function asEachUser(scene: Scene, sqlFor: (user: number) => string): Promise<void> {
  const lanes = connections.map((connection): Operation => (id, done) => {
    const isRightAnswer = (text: string) => text.includes('"status":"success"')
    const request = { user: id - 1, sql: sqlFor(id - 1), parameters: [] }
    ask({ connection, ...request, isRight: isRightAnswer, done })
  })
  await runLoop({ durationMs: Infinity, nextId: countTo(scene.users), lanes })
}

interface Question {
  readonly connection: HttpConnection
  readonly user: number
  readonly sql: string
  readonly parameters: readonly (string | number)[]
  readonly isRight: (answer: string) => boolean
  readonly done: (error?: Error) => void
}

function ask({ connection, user, sql, parameters, isRight, done }: Question): void {
  connection.listen(({ status, body }) => {
    const text = body.toString('latin1')
    const right = status === 200 && isRight(text)
    done(right ? undefined : new Error(`HTTP ${status}: ${text.slice(0, 500)}\n${sql}`))
  }, done)
  const apiKey = apiKeys[user] ?? ''
  connection.send(requestOf(JSON.stringify({ sql, params: parameters }), apiKey))
}
