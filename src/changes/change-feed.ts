import { Observable } from 'rxjs'
import type { ChangeBatch } from './change.js'
import type { Sequence } from './sequence.js'

export interface ChangeFeedOptions {
  /** What is after it comes; what is before does not. */
  readonly from: Sequence
  /** Reads on; it may take its time to, which holds the feed back. */
  readonly readAfter: (position: Sequence) => Promise<ChangeBatch>
  /** Emits whenever there may be more to read. */
  readonly commits: Observable<void>
}

/**
 * Committed changes in the order of their commits, each once: everything live starts here. It reads
 * at once and after each commit, one read at a time. It ends in the error of a read that failed;
 * whoever wants more makes another, from the last position that came.
 */
export function changeFeed(options: ChangeFeedOptions): Observable<ChangeBatch> {
  return new Observable((subscriber) => {
    let position = options.from
    let isReading = false
    let isDue = false
    // Two reads at once could give the same change twice.
    const readOn = async (): Promise<void> => {
      isReading = true
      while (isDue) {
        isDue = false
        const batch = await options.readAfter(position)
        if (subscriber.closed) return
        position = batch.position
        isDue ||= !batch.complete
        if (batch.changes.length > 0) subscriber.next(batch)
      }
      isReading = false
    }
    const read = (): void => {
      isDue = true
      if (!isReading) readOn().catch((cause: unknown) => subscriber.error(cause))
    }
    subscriber.add(
      options.commits.subscribe({ next: read, error: (cause) => subscriber.error(cause) }),
    )
    read()
  })
}
