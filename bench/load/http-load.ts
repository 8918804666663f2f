/** The load generator's process: closed loops of HTTP requests, every answer checked. */
import { workloads, type WorkloadName } from '../sql/workloads.js'
import { HttpConnection, requestOf } from './http-connection.js'
import { anyIdUpTo, runLoop, type Operation, type Sample } from './sample.js'
import { serveOrders } from './worker-process.js'

export interface LoadOrder {
  readonly port: number
  readonly apiKey: string
  readonly workload: WorkloadName
  readonly inFlight: number
  readonly durationMs: number
}

serveOrders(runOrder, () => Promise.resolve())

async function runOrder(order: LoadOrder): Promise<Sample> {
  const opening = Array.from({ length: order.inFlight }, () => HttpConnection.open(order.port))
  const connections = await Promise.all(opening)
  try {
    const lanes = connections.map((connection) => lane(connection, order))
    const nextId = anyIdUpTo(workloads[order.workload].idMax)
    return await runLoop({ ...order, lanes, nextId })
  } finally {
    for (const connection of connections) connection.close()
  }
}

function lane(connection: HttpConnection, order: LoadOrder): Operation {
  const workload = workloads[order.workload]
  const start = JSON.stringify({ sql: workload.sql }).slice(0, -1)
  return (id, done) => {
    connection.listen(({ status, body }) => {
      const text = body.toString('latin1')
      const isRight = status === 200 && workload.isRight(text, id)
      done(isRight ? undefined : new Error(`HTTP ${status}, id ${id}: ${text.slice(0, 500)}`))
    }, done)
    const body = `${start},"params":${JSON.stringify(workload.parameters(id))}}`
    connection.send(requestOf(body, order.apiKey))
  }
}
