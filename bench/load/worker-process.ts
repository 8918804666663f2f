import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/**
 * A process of the bench that answers one order at a time over IPC. Load and servers live in
 * processes of their own, as they would in a deployment.
 */
export class WorkerProcess<Order extends object, Answer> {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  /** @param script Compiled file that calls `serveOrders`. */
  static start<Order extends object, Answer>(
    script: URL,
    { args = [], execPath = process.execPath }: WorkerOptions = {},
  ): WorkerProcess<Order, Answer> {
    const child = fork(fileURLToPath(script), args, { execPath, stdio: ['ignore', 2, 2, 'ipc'] })
    return new WorkerProcess(child)
  }

  async ask(order: Order): Promise<Answer> {
    const settled = new AbortController()
    const answered = once(this.#child, 'message', settled)
    const ended = once(this.#child, 'exit', settled).then(() => {
      throw new Error('a process of the bench ended too early')
    })
    this.#child.send(order)
    try {
      const [reply] = (await Promise.race([answered, ended])) as [Reply<Answer>]
      if (reply.kind === 'failed') throw new Error(reply.reason)
      return reply.answer
    } finally {
      answered.catch(ignore)
      ended.catch(ignore)
      settled.abort()
    }
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.disconnect()
    await ended
  }
}

interface WorkerOptions {
  readonly args?: readonly string[]
  /** Another Node, for peers that need it. */
  readonly execPath?: string
}

type Reply<Answer> =
  | { readonly kind: 'answer'; readonly answer: Answer }
  | { readonly kind: 'failed'; readonly reason: string }

/** The other end: answers orders until the bench disconnects; `close` then frees what is held. */
export function serveOrders(
  answer: (order: never) => Promise<unknown>,
  close: () => Promise<void>,
): void {
  const send = (reply: Reply<unknown>) => process.send?.(reply)
  process.on('message', (order) => {
    // Our own parent sends what `WorkerProcess.ask` was typed with.
    answer(order as never).then(
      (value) => send({ kind: 'answer', answer: value }),
      (error: unknown) => send({ kind: 'failed', reason: String((error as Error).stack) }),
    )
  })
  process.once('disconnect', () => void close().finally(() => process.exit()))
}

function ignore(): void {
  // The other side of the race.
}
