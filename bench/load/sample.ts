/** What one timed stretch of a closed loop gave: `inFlight` requests, each followed by the next. */
export interface Sample {
  /** Those counted. */
  readonly operations: number
  readonly operationsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** Runs one operation for an id and settles when its answer is checked. */
export type Operation = (id: number, done: (error?: Error) => void) => void

export interface LoopOptions {
  readonly durationMs: number
  /** For each of the requests in flight, how it runs an operation. */
  readonly lanes: readonly Operation[]
  /** The id that the next operation is about; `undefined`: there is no more work, and the sample ends. */
  readonly nextId: () => number | undefined
}

/** Any id from 1 to `max`, again and again. */
export function anyIdUpTo(max: number): () => number {
  return () => 1 + Math.floor(Math.random() * max)
}

/**
 * Keeps every lane busy for `durationMs`, or until the ids are used up. Only operations that end
 * inside it are counted; the rest are waited for, so that nothing of one sample runs into the next.
 */
export function runLoop({ durationMs, lanes, nextId }: LoopOptions): Promise<Sample> {
  return new Promise((resolve, reject) => {
    const latencies: number[] = []
    const started = performance.now()
    let lastEnded = started
    let countedMs = durationMs
    let running = lanes.length
    const rest = () => {
      running -= 1
      if (running === 0) resolve(sampleOf(latencies, countedMs))
    }
    const keepBusy = (lane: Operation) => {
      const id = nextId()
      if (id === undefined) {
        countedMs = lastEnded - started
        rest()
        return
      }
      const sent = performance.now()
      lane(id, (error) => {
        const ended = performance.now()
        if (error !== undefined) {
          reject(error)
        } else if (ended - started < durationMs) {
          lastEnded = ended
          latencies.push(ended - sent)
          keepBusy(lane)
        } else {
          rest()
        }
      })
    }
    lanes.forEach(keepBusy)
  })
}

function sampleOf(latencies: number[], durationMs: number): Sample {
  return {
    operations: latencies.length,
    operationsPerSecond: (latencies.length * 1000) / durationMs,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
  }
}

export function quantile(samples: readonly number[], share: number): number {
  const sorted = Float64Array.from(samples).sort()
  return sorted[Math.floor(sorted.length * share)] ?? NaN
}
