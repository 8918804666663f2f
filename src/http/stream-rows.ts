/**
 * A result as NDJSON: `{"columns":[…]}`, one line a row, and a last line with the status. It moves
 * at the reader's pace and holds one piece at a time, so that any result fits in bounded memory.
 */
import type { StreamPart } from '../database/database.js'
import { DbError } from '../errors.js'
import { encodeRows, rowEncoder, type RowEncoder, type RowShape } from '../protocol/row-json.js'
import { callersError, countRequest, headersOf, sendError, type Reply } from './reply.js'
import { errorJson } from './error-response.js'
import { columnsJson, tookMs } from './sql-response.js'

export interface StreamOptions {
  readonly reply: Reply
  readonly rows: RowShape
  readonly parts: AsyncIterable<StreamPart>
}

/** Ends when all is sent or the reader has gone. An error before the first byte is an error answer. */
export async function streamRows(options: StreamOptions): Promise<void> {
  const { reply } = options
  const writer = new StreamWriter(reply, options.rows)
  try {
    for await (const part of options.parts) {
      await writer.write(part)
      if (reply.exchange.isOver) break
    }
    if (reply.exchange.isGone) throw new DbError('CANCELLED', 'the reader went away')
  } catch (thrown) {
    writer.fail(thrown)
  }
}

class StreamWriter {
  readonly #reply: Reply
  readonly #rows: RowShape
  #encoder: RowEncoder | undefined

  constructor(reply: Reply, rows: RowShape) {
    this.#reply = reply
    this.#rows = rows
  }

  /** Errors: CANCELLED if the reader takes nothing for too long. */
  async write(part: StreamPart): Promise<void> {
    const { sink } = this.#reply.door
    sink.clear()
    switch (part.kind) {
      case 'columns':
        this.#begin()
        this.#encoder = rowEncoder(part.columns, this.#rows)
        sink.appendText(`{"columns":${columnsJson(part.columns)}}\n`)
        break
      case 'rows':
        this.#appendRows(part.frames)
        break
      case 'end':
        this.#appendEnd(part)
    }
    await this.#send()
    if (part.kind === 'end') this.#finish(200)
  }

  /** Tells the reader, in the way that is still open. */
  fail(thrown: unknown): void {
    if (this.#encoder === undefined) {
      sendError(this.#reply, thrown)
      return
    }
    const error = callersError(this.#reply, thrown)
    this.#reply.exchange.write(Buffer.from(`${errorJson(error)}\n`))
    this.#finish(error.status)
  }

  #begin(): void {
    const headers = headersOf(this.#reply, {
      status: 200,
      contentType: 'application/x-ndjson',
      // nginx would collect the rows.
      headers: [['x-accel-buffering', 'no']],
    })
    this.#reply.exchange.begin(200, headers)
  }

  #appendRows(frames: Uint8Array): void {
    const encoder = this.#encoder
    if (encoder === undefined) throw new Error('assertion failed: rows come after their columns')
    encodeRows({ frames, encoder, separator: 'newline', out: this.#reply.door.sink })
  }

  #appendEnd({ command, rowCount }: Extract<StreamPart, { kind: 'end' }>): void {
    const { door, startedMs } = this.#reply
    const end = { status: 'success', command, row_count: rowCount, took_ms: tookMs(startedMs) }
    door.sink.appendText(`${JSON.stringify(end)}\n`)
  }

  async #send(): Promise<void> {
    const { exchange, door, cancellation } = this.#reply
    const idleMsMax = door.config.http.stream_idle_timeout_ms
    if (exchange.write(door.sink.view()) || (await exchange.writable(idleMsMax))) return
    cancellation.abort()
    exchange.disconnect()
    throw new DbError('CANCELLED', `the reader took nothing for ${idleMsMax} ms`)
  }

  #finish(status: number): void {
    this.#reply.exchange.finish()
    countRequest(this.#reply, status)
  }
}
