/**
 * Frontend messages of the PostgreSQL protocol (docs, "Message Formats"), written straight into one
 * buffer per unit. Values are sent and asked for in text format.
 */

const tag = {
  query: 0x51,
  parse: 0x50,
  bind: 0x42,
  describe: 0x44,
  execute: 0x45,
  close: 0x43,
  sync: 0x53,
  copyData: 0x64,
  copyDone: 0x63,
  copyFail: 0x66,
}

/** Shorter texts are written without the call into the buffer's own encoder. */
const shortTextMax = 32

/** A statement or parameter in text format; null is SQL's NULL. */
export type TextValue = string | null

/** Collects messages; `finish` gives their bytes and ends the writer. */
export class MessageWriter {
  #buffer: Buffer
  #length = 0

  constructor(bytesExpected = 256) {
    this.#buffer = Buffer.allocUnsafe(bytesExpected)
  }

  query(sql: string): this {
    return this.#message(tag.query, () => this.#text(sql))
  }

  /** Prepares `sql` as `name`; the types of its parameters are PostgreSQL's to infer. */
  parse(name: string, sql: string): this {
    return this.#message(tag.parse, () => {
      this.#text(name)
      this.#text(sql)
      this.#int16(0)
    })
  }

  /** Binds the unnamed portal. */
  bind(statement: string, values: readonly TextValue[]): this {
    return this.#message(tag.bind, () => {
      this.#text('')
      this.#text(statement)
      this.#int16(0)
      this.#int16(values.length)
      for (const value of values) this.#value(value)
      this.#int16(0)
    })
  }

  describeStatement(name: string): this {
    return this.#message(tag.describe, () => {
      this.#int8(0x53)
      this.#text(name)
    })
  }

  describePortal(): this {
    return this.#message(tag.describe, () => {
      this.#int8(0x50)
      this.#text('')
    })
  }

  execute(): this {
    return this.#message(tag.execute, () => {
      this.#text('')
      this.#int32(0)
    })
  }

  closeStatement(name: string): this {
    return this.#message(tag.close, () => {
      this.#int8(0x53)
      this.#text(name)
    })
  }

  sync(): this {
    return this.#message(tag.sync, () => undefined)
  }

  copyData(bytes: Uint8Array): this {
    return this.#message(tag.copyData, () => {
      this.#room(bytes.length)
      this.#buffer.set(bytes, this.#length)
      this.#length += bytes.length
    })
  }

  copyDone(): this {
    return this.#message(tag.copyDone, () => undefined)
  }

  copyFail(reason: string): this {
    return this.#message(tag.copyFail, () => this.#text(reason))
  }

  finish(): Uint8Array {
    return this.#buffer.subarray(0, this.#length)
  }

  #message(code: number, body: () => void): this {
    this.#int8(code)
    const lengthAt = this.#length
    this.#int32(0)
    body()
    this.#buffer.writeInt32BE(this.#length - lengthAt, lengthAt)
    return this
  }

  #value(value: TextValue): void {
    if (value === null) {
      this.#int32(-1)
      return
    }
    const lengthAt = this.#length
    this.#int32(0)
    this.#write(value)
    this.#buffer.writeInt32BE(this.#length - lengthAt - 4, lengthAt)
  }

  #text(text: string): void {
    this.#write(text)
    this.#int8(0)
  }

  #write(text: string): void {
    // UTF-8 takes at most three bytes for a UTF-16 unit.
    this.#room(text.length * 3)
    if (text.length > shortTextMax || !this.#writeAscii(text))
      this.#length += this.#buffer.write(text, this.#length, 'utf8')
  }

  /** False, and nothing is written, if the text has more than ASCII. */
  #writeAscii(text: string): boolean {
    const at = this.#length
    for (let index = 0; index < text.length; index++) {
      const unit = text.charCodeAt(index)
      if (unit > 0x7f) return false
      this.#buffer[at + index] = unit
    }
    this.#length = at + text.length
    return true
  }

  #int8(value: number): void {
    this.#room(1)
    this.#buffer[this.#length++] = value
  }

  #int16(value: number): void {
    this.#room(2)
    this.#length = this.#buffer.writeUInt16BE(value, this.#length)
  }

  #int32(value: number): void {
    this.#room(4)
    this.#length = this.#buffer.writeInt32BE(value, this.#length)
  }

  #room(bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }
}

export function simpleQuery(sql: string): Uint8Array {
  return new MessageWriter().query(sql).finish()
}

export const syncMessage = new MessageWriter(5).sync().finish()

/** Fails: it binds a statement that is not there. */
export const failingMessage = new MessageWriter().bind('kalam_too_large', []).finish()
