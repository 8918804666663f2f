/** Why a query cannot be live: an expected outcome, so a value. */
export interface LiveRefusal {
  readonly kind: 'refused'
  readonly message: string
  readonly hint: string | undefined
  /** Where, as the byte offset in the text that was analysed. */
  readonly byte: number | undefined
}

export function liveRefusal(message: string, byte?: number, hint?: string): LiveRefusal {
  return { kind: 'refused', message, byte, hint }
}
