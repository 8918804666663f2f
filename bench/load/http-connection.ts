import { connect, type Socket } from 'node:net'

/** What comes back, as little decoded as possible: the load shares the cores with the server. */
export interface HttpAnswer {
  readonly status: number
  readonly body: Buffer
}

/**
 * One keep-alive HTTP/1.1 connection with one request in flight, over a bare socket: a third of
 * the processor time that `fetch` or undici takes. It understands Content-Length only.
 */
export class HttpConnection {
  readonly #socket: Socket
  #held: Buffer[] = []
  #heldBytes = 0
  /** Bytes of the answer being received, head and body; 0 before its head is whole. */
  #answerBytes = 0
  #bodyStart = 0
  #status = 0
  #receive: (answer: HttpAnswer) => void = unexpected
  #fail: (error: Error) => void = unexpected

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (piece) => this.#take(piece))
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('the server closed the connection')))
  }

  static open(port: number): Promise<HttpConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new HttpConnection(socket))
      })
    })
  }

  /** `receive` is called once for each `send`, `fail` at most once. */
  listen(receive: (answer: HttpAnswer) => void, fail: (error: Error) => void): void {
    this.#receive = receive
    this.#fail = fail
  }

  /** On a connection that the server has closed since, as one idle for long, this fails. */
  send(request: string): void {
    if (this.#socket.writable) this.#socket.write(request, 'latin1')
    else this.#fail(new Error('the server closed the connection'))
  }

  close(): void {
    this.listen(unexpected, () => undefined)
    this.#socket.destroy()
  }

  #take(piece: Buffer): void {
    this.#held.push(piece)
    this.#heldBytes += piece.length
    if (this.#answerBytes === 0) this.#readHead()
    if (this.#answerBytes === 0 || this.#heldBytes < this.#answerBytes) return
    this.#deliver()
  }

  #readHead(): void {
    const bytes = this.#joined()
    const end = bytes.indexOf('\r\n\r\n')
    if (end < 0) return
    const head = bytes.toString('latin1', 0, end)
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
    if (length === undefined) {
      this.#fail(new Error(`no Content-Length in:\n${head}`))
      return
    }
    this.#status = Number(head.slice(9, 12))
    this.#bodyStart = end + 4
    this.#answerBytes = this.#bodyStart + Number(length)
  }

  #deliver(): void {
    const body = this.#joined().subarray(this.#bodyStart, this.#answerBytes)
    this.#held = []
    this.#heldBytes = 0
    this.#answerBytes = 0
    this.#receive({ status: this.#status, body })
  }

  #joined(): Buffer {
    const [first] = this.#held
    if (first !== undefined && this.#held.length === 1) return first
    const all = Buffer.concat(this.#held)
    this.#held = [all]
    return all
  }
}

function unexpected(): void {
  throw new Error('bytes came for a request that nobody sent')
}

/** One HTTP/1.1 request. The body is ASCII, so characters are bytes. */
export function requestOf(body: string, apiKey: string): string {
  return (
    'POST /v1/api/sql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n' +
    `X-API-KEY: ${apiKey}\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  )
}
