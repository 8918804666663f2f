/** React: a client for the app, and live queries that are closed with their component. */
import {
  createContext,
  createElement,
  useCallback,
  useContext,
  useEffect,
  useState,
  useSyncExternalStore,
  type DependencyList,
  type ReactElement,
  type ReactNode,
} from 'react'
import type { ConnectionState, KalamClient } from './client.js'
import type { KalamError } from './kalam-error.js'
import type { LiveQuery, LiveStatus } from './live-query.js'
import type { AnySchema, Schema } from './schema.js'

const ClientContext = createContext<KalamClient | undefined>(undefined)

export interface KalamProviderProps {
  // Of any schema: whoever asks for it says again of which.
  readonly client: Pick<KalamClient, 'connection' | 'query'>
  readonly children?: ReactNode
}

export function KalamProvider({ client, children }: KalamProviderProps): ReactElement {
  return createElement(ClientContext.Provider, { value: client as KalamClient }, children)
}

/** The app's client. Throws if there is none. */
export function useKalam<S extends Schema = AnySchema>(): KalamClient<S> {
  const client = useContext(ClientContext)
  if (client === undefined)
    throw new Error('there is no client around this: <KalamProvider client>')
  return client as unknown as KalamClient<S>
}

/** Whether there is a connection, and why not. */
export function useConnection(): ConnectionState {
  const { connection } = useKalam()
  const subscribe = useCallback(
    (onChange: () => void) => connection.subscribe({ next: onChange, complete: onChange }),
    [connection],
  )
  const state = () => connection.state
  return useSyncExternalStore(subscribe, state, state)
}

export interface LiveState<Row> {
  readonly rows: readonly Row[]
  readonly status: LiveStatus
  readonly error: KalamError | undefined
  /** The query itself, for optimistic writes; undefined when it is off. */
  readonly live: LiveQuery<Row> | undefined
}

/**
 * The rows of a live query, as long as the component is there. It is opened again when one of `deps`
 * has changed; undefined: there is to be none now.
 *
 *     const { rows } = useLive((kalam) => kalam.table('app.todos').live({ list }), [list])
 */
export function useLive<Row, S extends Schema = AnySchema>(
  open: (client: KalamClient<S>) => LiveQuery<Row> | undefined,
  deps: DependencyList,
): LiveState<Row> {
  const client = useKalam<S>()
  const [live, setLive] = useState<LiveQuery<Row>>()
  useEffect(() => {
    const opened = open(client)
    setLive(opened)
    return () => opened?.close()
    // `open` is another function each time: what it depends on is in `deps`.
  }, [client, ...deps])
  const subscribe = useCallback(
    (onChange: () => void) =>
      live?.events.subscribe({ next: onChange, error: onChange, complete: onChange }) ?? noop,
    [live],
  )
  const rows = () => live?.rows ?? none
  const status = () => live?.status ?? 'loading'
  return {
    rows: useSyncExternalStore(subscribe, rows, rows),
    status: useSyncExternalStore(subscribe, status, status),
    error: live?.error,
    live,
  }
}

/** The same array each time: React compares. */
const none: readonly never[] = []
const noop = () => undefined
