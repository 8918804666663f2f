import type { Readable, Writable } from 'node:stream'

/** What a command may touch of the world; main.ts passes the process's own. */
export interface Surroundings {
  readonly stdin: Readable & { readonly isTTY?: boolean }
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number }
  readonly stderr: Writable & { readonly isTTY?: boolean }
  readonly env: Readonly<Record<string, string | undefined>>
  /** The folder that holds `.kalam`. */
  readonly home: string
  /** Milliseconds that only grow. */
  readonly clock: () => number
}

/** One run of the command line. */
export interface Invocation {
  readonly surroundings: Surroundings
  readonly version: string
  /** Ends what is running. */
  readonly signal: AbortSignal
}
