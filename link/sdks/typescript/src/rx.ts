/** RxJS: streams that open what they need when somebody subscribes, and close it after the last. */
import { Observable } from 'rxjs'
import type { Stream } from './channel.js'
import type { ConnectionState, KalamClient } from './client.js'
import type { LiveEvent, LiveQuery } from './live-query.js'

/** Rows of a live query of its own for each subscriber: `share()` it where there are many. */
export function liveRows<Row>(open: () => LiveQuery<Row>): Observable<readonly Row[]> {
  return opened(open, (live) => live)
}

/** The same, as changes with their places. */
export function liveEvents<Row>(open: () => LiveQuery<Row>): Observable<LiveEvent<Row>> {
  return opened(open, ({ events }) => events)
}

export function connectionStates(
  client: Pick<KalamClient, 'connection'>,
): Observable<ConnectionState> {
  return new Observable((subscriber) => client.connection.subscribe(subscriber))
}

function opened<Row, T>(
  open: () => LiveQuery<Row>,
  streamOf: (live: LiveQuery<Row>) => Stream<T>,
): Observable<T> {
  return new Observable((subscriber) => {
    const live = open()
    subscriber.add(() => live.close())
    streamOf(live).subscribe(subscriber)
  })
}
