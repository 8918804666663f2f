/** Callers that write without pause, each its next row when the last was acknowledged. */
import type { ServerContainer } from './server-container.js'

export interface WriteLoad {
  readonly acknowledged: ReadonlySet<number>
  /** Resolves when so many rows were acknowledged. */
  reached(rows: number): Promise<void>
  /** Resolves when the server has ended all of them. */
  readonly ended: Promise<void>
}

const callers = 8

export function startWriting(server: ServerContainer, key: string, first: number): WriteLoad {
  const acknowledged = new Set<number>()
  const waiting: { readonly rows: number; readonly resolve: () => void }[] = []
  let next = first
  const write = async (): Promise<void> => {
    for (;;) {
      const id = next++
      const { status } = await server.sql(key, 'INSERT INTO app.written VALUES ($1)', [id])
      if (status !== 200) return
      acknowledged.add(id)
      for (const { rows, resolve } of waiting) if (acknowledged.size >= rows) resolve()
    }
  }
  const writers = Array.from({ length: callers }, () => write().catch(() => undefined))
  return {
    acknowledged,
    reached: (rows) => new Promise((resolve) => waiting.push({ rows, resolve })),
    ended: Promise.all(writers).then(() => undefined),
  }
}
