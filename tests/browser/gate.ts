/** An address in front of a server, which may go, come back elsewhere, or not be reached. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface Gate extends AsyncDisposable {
  readonly url: string
  /** Cuts off whoever is connected; whoever comes is turned away. */
  shut(): void
  open(port: number): void
}

export async function openGate(port: number): Promise<Gate> {
  const inside = new Set<Socket>()
  let target: number | undefined = port
  const server = createServer((caller) => {
    caller.on('error', () => undefined)
    if (target === undefined) {
      caller.destroy()
      return
    }
    const behind = connect(target, '127.0.0.1')
    behind.on('error', () => undefined)
    caller.pipe(behind).pipe(caller)
    for (const [one, other] of [
      [caller, behind],
      [behind, caller],
    ] as const) {
      inside.add(one)
      one.once('close', () => {
        inside.delete(one)
        other.destroy()
      })
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const gatePort = typeof address === 'object' ? (address?.port ?? 0) : 0
  const shut = () => {
    target = undefined
    for (const socket of inside) socket.destroy()
  }
  return {
    url: `http://127.0.0.1:${gatePort}`,
    shut,
    open: (to) => {
      target = to
    },
    [Symbol.asyncDispose]: async () => {
      shut()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
