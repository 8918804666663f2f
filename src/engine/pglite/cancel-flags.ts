/** Where a running PGlite looks whether it should stop. */
export interface CancelFlags {
  readonly memory: SharedArrayBuffer
  /** Bytes to set to 1, in this order. */
  readonly addresses: readonly [queryCancelPending: number, interruptPending: number]
}

/** Asks the running statement to end with 57014; from any thread. */
export function setCancelFlags({ memory, addresses }: CancelFlags): void {
  const bytes = new Uint8Array(memory)
  for (const address of addresses) Atomics.store(bytes, address, 1)
}
