/** Vue: a client for the app, and live queries that are closed with their component. */
import {
  inject,
  onScopeDispose,
  shallowRef,
  toValue,
  watchEffect,
  type InjectionKey,
  type MaybeRefOrGetter,
  type ObjectPlugin,
  type ShallowRef,
} from 'vue'
import type { ConnectionState, KalamClient } from './client.js'
import type { KalamError } from './kalam-error.js'
import type { LiveQuery, LiveStatus } from './live-query.js'
import type { AnySchema, Schema } from './schema.js'

/** Shared by all copies of this module in an app. */
const clientKey: InjectionKey<KalamClient> = Symbol.for('kalam-link.client')

/** `app.use(kalamPlugin(createClient({ url, apiKey })))` */
export function kalamPlugin<S extends Schema>(client: KalamClient<S>): ObjectPlugin {
  // Whoever asks for it says again of which schema it is.
  return { install: (app) => app.provide(clientKey, client as unknown as KalamClient) }
}

/** The app's client. Throws if there is none. */
export function useKalam<S extends Schema = AnySchema>(): KalamClient<S> {
  const client = inject(clientKey, undefined)
  if (client === undefined)
    throw new Error('there is no client in this app: app.use(kalamPlugin(client))')
  return client as unknown as KalamClient<S>
}

/** Whether there is a connection, and why not. */
export function useConnection(
  client: Pick<KalamClient, 'connection'> = useKalam(),
): Readonly<ShallowRef<ConnectionState>> {
  const state = shallowRef(client.connection.state)
  onScopeDispose(client.connection.subscribe((next) => (state.value = next)))
  return state
}

export interface LiveRefs<Row> {
  readonly rows: Readonly<ShallowRef<readonly Row[]>>
  readonly status: Readonly<ShallowRef<LiveStatus>>
  readonly error: Readonly<ShallowRef<KalamError | undefined>>
  /** The query itself, for optimistic writes; undefined when it is off. */
  readonly live: Readonly<ShallowRef<LiveQuery<Row> | undefined>>
}

/** Opens a live query; undefined: there is to be none now. What is reactive in it opens another. */
export type OpenLive<Row, S extends Schema> = (client: KalamClient<S>) => LiveQuery<Row> | undefined

/**
 * The rows of a live query, as long as the component or scope lives. Opened by a function, or by SQL:
 *
 *     const { rows } = useLive((kalam) => kalam.table('app.todos').live({ list: props.list }))
 *     const { rows } = useLive<Todo>('SELECT * FROM app.todos WHERE list = $1', () => [props.list])
 */
export function useLive<Row, S extends Schema = AnySchema>(
  source: OpenLive<Row, S> | string,
  params: MaybeRefOrGetter<readonly unknown[]> = [],
  client: KalamClient<S> = useKalam<S>(),
): LiveRefs<Row> {
  const rows = shallowRef<readonly Row[]>([])
  const status = shallowRef<LiveStatus>('loading')
  const error = shallowRef<KalamError>()
  const live = shallowRef<LiveQuery<Row>>()
  watchEffect((onCleanup) => {
    const opened =
      typeof source === 'string' ? client.live<Row>(source, toValue(params)) : source(client)
    const show = () => {
      rows.value = opened?.rows ?? []
      status.value = opened?.status ?? 'ended'
      error.value = opened?.error
    }
    live.value = opened
    show()
    const stop = opened?.events.subscribe({ next: show, error: show })
    onCleanup(() => {
      stop?.()
      opened?.close()
    })
  })
  return { rows, status, error, live }
}
