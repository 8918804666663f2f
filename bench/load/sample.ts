/** What one timed stretch of a closed loop gave: `inFlight` requests, each followed by the next. */
export interface Sample {
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
  /** Ids run from 1 to this. */
  readonly idMax: number
}

/**
 * Keeps every lane busy for `durationMs`. Only operations that end inside it are counted; the rest
 * are waited for, so that nothing of one sample runs into the next.
 */
export function runLoop({ durationMs, lanes, idMax }: LoopOptions): Promise<Sample> {
  return new Promise((resolve, reject) => {
    const latencies: number[] = []
    const started = performance.now()
    let running = lanes.length
    const keepBusy = (lane: Operation) => {
      const sent = performance.now()
      lane(1 + Math.floor(Math.random() * idMax), (error) => {
        const ended = performance.now()
        if (error !== undefined) {
          reject(error)
        } else if (ended - started < durationMs) {
          latencies.push(ended - sent)
          keepBusy(lane)
        } else {
          running -= 1
          if (running === 0) resolve(sampleOf(latencies, durationMs))
        }
      })
    }
    lanes.forEach(keepBusy)
  })
}

function sampleOf(latencies: number[], durationMs: number): Sample {
  const sorted = Float64Array.from(latencies).sort()
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? NaN
  return {
    operationsPerSecond: (latencies.length * 1000) / durationMs,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  }
}
