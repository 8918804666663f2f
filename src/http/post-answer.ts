/** Serves a POST route of an adapter: its head, its body within http.body_bytes_max, its answer. */
import type { PostAnswer, PostRoute, TakeBody } from '../database/post-route.js'
import { DbError } from '../errors.js'
import { errorHeaders } from './error-response.js'
import { callersError, send, type Reply } from './reply.js'
import type { RequestHead } from './request-head.js'

export async function answerPost(route: PostRoute, reply: Reply, head: RequestHead): Promise<void> {
  try {
    await answer(route, reply, head)
  } catch (thrown) {
    const error = callersError(reply, thrown)
    const refusal = route.refuse(error)
    sendAnswer(reply, {
      ...refusal,
      headers: [...errorHeaders(error), ...(refusal.headers ?? [])],
    })
  }
}

async function answer(route: PostRoute, reply: Reply, head: RequestHead): Promise<void> {
  const { exchange, cancellation, door } = reply
  const takeBody = errorAsTaker(() => route.readHead((name) => head.header(name)))
  // Who says nothing that we can use has no right to our memory.
  const bytesMax = takeBody instanceof DbError ? 0 : door.config.http.body_bytes_max
  const body = await exchange.readBody(bytesMax, (bytes) =>
    takeBody instanceof DbError ? takeBody : takeBody(bytes),
  )
  if (exchange.isOver) return
  exchange.onGone = () => cancellation.abort()
  if (takeBody instanceof DbError) throw takeBody
  const run = body instanceof DbError ? takeBody(body) : body
  sendAnswer(reply, await run(cancellation))
}

function sendAnswer(reply: Reply, { write, ...content }: PostAnswer): void {
  const { sink } = reply.door
  sink.clear()
  write(sink)
  send(reply, { ...content, body: sink.view() })
}

/** The error is looked at when the body has come. Bugs are thrown on. */
function errorAsTaker(read: () => TakeBody): TakeBody | DbError {
  try {
    return read()
  } catch (thrown) {
    if (thrown instanceof DbError) return thrown
    throw thrown
  }
}
