/** A snapshot that is too large to hold: its rows wait in the engine and come in pieces. */
import { randomBytes } from 'node:crypto'
import type { Sequence } from '../changes/sequence.js'
import type { RawResult } from '../engine/statement.js'
import { quoteIdentifier } from '../dialect/compose-text.js'
import type { LiveRooms } from './live-rooms.js'
import type { LiveStatement } from './live-request.js'

/** Rows of the first piece, before it is known how long they are, and how pieces may grow. */
const firstRows = 100
const growth = 4
const rowsMax = 10_000
/** A row may be longer than those before it by so much. */
const overrun = 16

/**
 * Hands over the rows piece by piece, as long as `take` says true. Answers the place in the log
 * that all of them are of. Errors: any of the query's; ENGINE_RESTARTED takes the rows along.
 */
export async function streamSnapshot(
  rooms: LiveRooms,
  statement: LiveStatement,
  take: (piece: RawResult) => Promise<boolean>,
): Promise<Sequence> {
  const cursor = quoteIdentifier(`kalam_${randomBytes(16).toString('hex')}`)
  const { identity, searchPath } = statement
  const { pieceBytes } = rooms.settings
  const own = (text: string): LiveStatement => ({
    ...{ text, parameterCount: 0, encode: () => [], identity, searchPath, once: true },
    replyBytesMax: pieceBytes * overrun,
  })
  const declare = {
    ...statement,
    text: `declare ${cursor} no scroll cursor with hold for ${statement.text}`,
  }
  const position = await rooms.runner.runTogether(async (held) => {
    await held.run({ ...declare, once: true })
    return held.position()
  })
  try {
    let rows = firstRows
    for (;;) {
      const piece = await rooms.runner.run(own(`fetch forward ${rows} from ${cursor}`))
      if (!(await take(piece)) || piece.rowCount < rows) return position
      const rowBytes = Math.max(1, piece.frames.length / piece.rowCount)
      rows = Math.max(1, Math.min(rowsMax, Math.floor(pieceBytes / rowBytes), rows * growth))
    }
  } finally {
    // Gone with the engine, if that is what went wrong.
    await rooms.runner.run(own(`close ${cursor}`)).catch(() => undefined)
  }
}
