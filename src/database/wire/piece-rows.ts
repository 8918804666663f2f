/** How many rows a large result is read by at a time. */

/** Rows of the first piece, before it is known how long they are. */
export const firstPieceRows = 100
/** How much longer in rows a piece may be than the one before. */
const pieceGrowth = 4

export interface PieceBounds {
  /** `http.stream_piece_rows`. */
  readonly streamPieceRows: number
  /** `http.stream_piece_bytes`. */
  readonly streamPieceBytes: number
}

/** Rows of the next piece, by how large the one before was. */
export function nextPieceRows(
  rows: number,
  bytes: number,
  { streamPieceRows, streamPieceBytes }: PieceBounds,
): number {
  const fitting = Math.floor(streamPieceBytes / Math.max(1, bytes / Math.max(1, rows)))
  return Math.max(1, Math.min(streamPieceRows, fitting, rows * pieceGrowth))
}
