/** A network between clients and a server of this machine, which can be cut and slowed down. */
import { connect, createServer, type Socket } from 'node:net'

export interface Relay extends AsyncDisposable {
  readonly port: number
  /** Ends what goes through, and takes nothing more until `mend`. */
  cut(): void
  mend(): void
  /** From now on every byte takes so many ms longer, each way. */
  slow(delayMs: number): void
  /** From now on nothing gets through, until the answered function is called. */
  hold(): () => void
}

export async function openRelay(serverPort: number): Promise<Relay> {
  const sockets = new Set<Socket>()
  let isCut = false
  let delayMs = 0
  let released = Promise.resolve()
  const pass = (from: Socket, to: Socket) => {
    sockets.add(from)
    // One after the other, so that none overtakes those before it.
    let passed = Promise.resolve()
    from.on('data', (bytes) => {
      const dueMs = performance.now() + delayMs
      const whenReleased = released
      passed = passed.then(async () => {
        await whenReleased
        const waitMs = dueMs - performance.now()
        if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs))
        to.write(bytes)
      })
    })
    from.on('error', () => to.destroy())
    from.on('close', () => {
      sockets.delete(from)
      to.destroy()
    })
  }
  const relay = createServer((client) => {
    if (isCut) {
      client.destroy()
      return
    }
    const server = connect(serverPort, '127.0.0.1')
    pass(client, server)
    pass(server, client)
  })
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
  const address = relay.address()
  const cut = () => {
    isCut = true
    for (const socket of sockets) socket.destroy()
  }
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    cut,
    mend: () => {
      isCut = false
    },
    slow: (ms) => {
      delayMs = ms
    },
    hold: () => {
      let release = () => {}
      released = new Promise((resolve) => (release = resolve))
      return release
    },
    [Symbol.asyncDispose]: async () => {
      cut()
      await new Promise((resolve) => relay.close(resolve))
    },
  }
}
