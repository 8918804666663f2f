/** A client of the Postgres wire for tests: sends any bytes, hears whole messages, waits with deadlines. */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { TLSSocket, connect as connectTls } from 'node:tls'
import { within } from './socket-client.js'

/** A backend message; `fields` of an ErrorResponse or NoticeResponse by their letter. */
export interface WireMessage {
  readonly tag: string
  readonly body: Buffer
}

export interface WireError {
  /** `FATAL`. */
  readonly severity: string
  readonly code: string
  readonly message: string
  readonly detail: string | undefined
  readonly hint: string | undefined
}

export interface WireClientOptions {
  readonly port: number
  /** Of the client; one of 127.0.0.0/8. */
  readonly localAddress?: string | undefined
}

/** One connection. */
export class WireClient implements AsyncDisposable {
  #socket: Socket
  #bytes = Buffer.alloc(0)
  #hasEnded = false
  #wake: () => void = () => undefined

  constructor(socket: Socket) {
    this.#socket = socket
    this.#listen(socket)
  }

  static async connect({ port, localAddress }: WireClientOptions): Promise<WireClient> {
    const socket = connect({ port, host: '127.0.0.1', localAddress, noDelay: true })
    const client = new WireClient(socket)
    await within('a connection', new Promise((resolve) => socket.once('connect', resolve)))
    return client
  }

  get socket(): Socket {
    return this.#socket
  }

  send(...parts: readonly Uint8Array[]): void {
    this.#socket.write(Buffer.concat(parts))
  }

  /** A byte at a time, each in a packet of its own as far as the kernel has it so. */
  async sendSlowly(bytes: Uint8Array): Promise<void> {
    for (const byte of bytes) {
      await new Promise<void>((resolve) => this.#socket.write(Buffer.of(byte), () => resolve()))
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
  }

  /** So many bytes that are no message: answers about encryption. */
  raw(count: number): Promise<Buffer> {
    return this.#until(`${count} bytes`, () => {
      if (this.#bytes.length < count) return undefined
      return this.#take(count)
    })
  }

  /** The next message. */
  next(): Promise<WireMessage> {
    return this.#until('a message', () => this.#message())
  }

  /** Messages up to one with that tag, which is the last of them. */
  async upTo(tag: string): Promise<readonly WireMessage[]> {
    const messages: WireMessage[] = []
    for (;;) {
      const message = await this.next()
      messages.push(message)
      if (message.tag === tag) return messages
      if (message.tag === 'E' && tag !== 'E' && isFatal(message))
        throw new Error(JSON.stringify(errorOf(message)))
    }
  }

  /** The error that comes next, which must be one. */
  async error(): Promise<WireError> {
    const message = await this.next()
    if (message.tag !== 'E') throw new Error(`no error but ${message.tag}`)
    return errorOf(message)
  }

  /** Resolves when the server has closed the connection, with what it said before. */
  async closed(): Promise<readonly WireMessage[]> {
    const messages: WireMessage[] = []
    return this.#until('the end of the connection', () => {
      for (let message = this.#message(); message !== undefined; message = this.#message())
        messages.push(message)
      return this.#hasEnded ? messages : undefined
    })
  }

  /** What follows goes through TLS. */
  async secure(options: { readonly alpn?: readonly string[] } = {}): Promise<void> {
    this.#socket.removeAllListeners()
    const secured = connectTls({
      socket: this.#socket,
      rejectUnauthorized: false,
      ...(options.alpn === undefined ? {} : { ALPNProtocols: [...options.alpn] }),
    })
    this.#socket = secured
    this.#listen(secured)
    await within('TLS', new Promise((resolve) => secured.once('secureConnect', resolve)))
  }

  /** The server's certificate, in DER. */
  get certificate(): Buffer {
    if (!(this.#socket instanceof TLSSocket)) throw new Error('there is no TLS')
    return this.#socket.getPeerCertificate().raw
  }

  /** Start-up packet, SCRAM, and all up to ReadyForQuery. */
  async logIn(login: WireLogin): Promise<readonly WireMessage[]> {
    this.send(startupPacket({ user: login.user, database: 'kalamdb', ...login.parameters }))
    await this.prove(login)
    return this.upTo('Z')
  }

  /** SCRAM from its request to AuthenticationSASLFinal. */
  async prove(login: WireLogin): Promise<void> {
    const { tag, body } = await this.next()
    if (tag !== 'R') throw new Error(`no AuthenticationSASL but ${tag}: ${body.toString('latin1')}`)
    const mechanism = login.binding === undefined ? 'SCRAM-SHA-256' : 'SCRAM-SHA-256-PLUS'
    const scram = scramClient(login)
    this.send(saslInitial(mechanism, scram.first))
    const answer = await this.next()
    if (answer.tag !== 'R') throw new Error(JSON.stringify(errorOf(answer)))
    this.send(frame('p', Buffer.from(scram.final(answer.body.toString('utf8', 4)))))
    const final = await this.next()
    if (final.tag !== 'R') throw new Error(JSON.stringify(errorOf(final)))
    scram.check(final.body.toString('utf8', 4))
  }

  /** All up to ReadyForQuery. */
  query(sql: string): Promise<readonly WireMessage[]> {
    this.send(frame('Q', `${sql}\0`))
    return this.upTo('Z')
  }

  /** Ends without a word. */
  cut(): void {
    this.#socket.destroy()
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    return Promise.resolve()
  }

  #listen(socket: Socket): void {
    socket.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk])
      this.#wake()
    })
    const end = () => {
      this.#hasEnded = true
      this.#wake()
    }
    socket.on('error', end)
    socket.on('end', end)
    socket.on('close', end)
  }

  #take(count: number): Buffer {
    const taken = this.#bytes.subarray(0, count)
    this.#bytes = this.#bytes.subarray(count)
    return taken
  }

  #message(): WireMessage | undefined {
    if (this.#bytes.length < 5) return undefined
    const end = 1 + this.#bytes.readUInt32BE(1)
    if (this.#bytes.length < end) return undefined
    const bytes = this.#take(end)
    return { tag: bytes.toString('latin1', 0, 1), body: bytes.subarray(5) }
  }

  async #until<T>(what: string, find: () => T | undefined): Promise<T> {
    for (;;) {
      const found = find()
      if (found !== undefined) return found
      if (this.#hasEnded) throw new Error(`the connection ended without ${what}`)
      await within(what, new Promise<void>((resolve) => (this.#wake = resolve)))
    }
  }
}

export interface WireLogin {
  readonly user: string
  /** The API key. */
  readonly password: string
  readonly parameters?: Readonly<Record<string, string>>
  /** Hash of the certificate, for SCRAM-SHA-256-PLUS. */
  readonly binding?: Uint8Array
  /** The flag of the client's first message; else `n`, or the binding's. */
  readonly flag?: string
}

export function scramClient({ password, binding, flag }: Omit<WireLogin, 'user'>) {
  const header = `${flag ?? (binding === undefined ? 'n' : 'p=tls-server-end-point')},,`
  const bare = `n=,r=${randomBytes(18).toString('base64')}`
  let serverSignature = ''
  return {
    first: header + bare,
    final: (serverFirst: string): string => {
      const [, nonce = '', salt = '', rounds = ''] =
        /^r=([^,]*),s=([^,]*),i=(\d+)$/u.exec(serverFirst) ?? []
      const salted = saltedPassword(password, salt, Number(rounds))
      const clientKey = hmac(salted, 'Client Key')
      const channel = Buffer.concat([Buffer.from(header), binding ?? Buffer.of()])
      const withoutProof = `c=${channel.toString('base64')},r=${nonce}`
      const signed = `${bare},${serverFirst},${withoutProof}`
      const signature = hmac(createHash('sha256').update(clientKey).digest(), signed)
      const proof = clientKey.map((byte, index) => byte ^ (signature[index] ?? 0))
      serverSignature = hmac(hmac(salted, 'Server Key'), signed).toString('base64')
      return `${withoutProof},p=${Buffer.from(proof).toString('base64')}`
    },
    /** That the server knows the key as well. */
    check: (serverFinal: string): void => {
      if (serverFinal !== `v=${serverSignature}`)
        throw new Error('the server does not know the key')
    },
  }
}

/** Each takes milliseconds, and tests log the same few users in. */
const saltedPasswords = new Map<string, Buffer>()

function saltedPassword(password: string, salt: string, rounds: number): Buffer {
  const name = `${password} ${salt} ${rounds}`
  const known = saltedPasswords.get(name)
  if (known !== undefined) return known
  const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), rounds, 32, 'sha256')
  saltedPasswords.set(name, salted)
  return salted
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

export function saslInitial(mechanism: string, text: string): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(Buffer.byteLength(text))
  return frame('p', Buffer.concat([Buffer.from(`${mechanism}\0`), length, Buffer.from(text)]))
}

/** A message with its tag and length. */
export function frame(tag: string, body: Uint8Array | string = ''): Buffer {
  const bytes = Buffer.from(body)
  const head = Buffer.alloc(5)
  head.write(tag, 'latin1')
  head.writeUInt32BE(bytes.length + 4, 1)
  return Buffer.concat([head, bytes])
}

/** A packet without a tag. */
export function packet(code: number, body: Uint8Array = Buffer.of()): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt32BE(body.length + 8)
  head.writeUInt32BE(code, 4)
  return Buffer.concat([head, body])
}

export const version30 = 3 << 16
export const sslRequest = packet(80877103)
export const gssRequest = packet(80877104)

export function startupPacket(
  parameters: Readonly<Record<string, string>>,
  version = version30,
): Buffer {
  const pairs = Object.entries(parameters).map(([name, value]) => `${name}\0${value}\0`)
  return packet(version, Buffer.from(`${pairs.join('')}\0`))
}

export function cancelRequest(processId: number, secret: Uint8Array): Buffer {
  const id = Buffer.alloc(4)
  id.writeInt32BE(processId)
  return packet(80877102, Buffer.concat([id, secret]))
}

/** What a CancelRequest must name: of BackendKeyData, among the messages of a login. */
export function cancelOf(messages: readonly WireMessage[]): Buffer {
  const body = messages.find(({ tag }) => tag === 'K')?.body ?? Buffer.alloc(8)
  return cancelRequest(body.readInt32BE(0), body.subarray(4))
}

/** `RSSSKZ`: the tags of messages, in order. */
export function tagsOf(messages: readonly WireMessage[]): string {
  return messages.map(({ tag }) => tag).join('')
}

/** Of an ErrorResponse or a NoticeResponse. */
export function errorOf({ body }: WireMessage): WireError {
  const fields = new Map(
    body
      .toString('utf8')
      .split('\0')
      .map((field) => [field.slice(0, 1), field.slice(1)]),
  )
  return {
    severity: fields.get('S') ?? '',
    code: fields.get('C') ?? '',
    message: fields.get('M') ?? '',
    detail: fields.get('D'),
    hint: fields.get('H'),
  }
}

function isFatal(message: WireMessage): boolean {
  return errorOf(message).severity === 'FATAL'
}
