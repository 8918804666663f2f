/** E5: Vue, Pinia, React and RxJS on live rows, against a real server. */
import { Window } from 'happy-dom'
import { isKalamError, type KalamClient } from 'kalam-link'
import { defineLiveStore, kalamPinia } from 'kalam-link/pinia'
import {
  KalamProvider,
  useConnection as useReactConnection,
  useLive as useReactLive,
} from 'kalam-link/react'
import { connectionStates, liveEvents, liveRows } from 'kalam-link/rx'
import { kalamPlugin, useConnection, useKalam, useLive } from 'kalam-link/vue'
import { createPinia } from 'pinia'
import { createElement, StrictMode } from 'react'
import { filter, firstValueFrom, from, map, toArray } from 'rxjs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { computed, createApp, effectScope, reactive, ref, watch, type App, type Ref } from 'vue'
import { within } from '../../../../tests/support/socket-client.js'
import { openTodoServer, type Todo, type TodoSchema, type TodoServer } from './server.js'

let todos: TodoServer

beforeAll(async () => {
  todos = await openTodoServer()
})
afterAll(async () => {
  await todos[Symbol.asyncDispose]()
})

type Client = KalamClient<TodoSchema>
const open = (kalam: Client) => kalam.table('app.todos').live()
const titlesOf = (rows: readonly Todo[]) => rows.map(({ title }) => title)

/** Waits for a ref to be right. */
function becomes<T>(value: Readonly<Ref<T>>, isRight: (now: T) => boolean): Promise<void> {
  const right = new Promise<void>((resolve) => {
    const stop = watch(
      value,
      (now) => {
        if (!isRight(now)) return
        resolve()
        queueMicrotask(() => stop())
      },
      { immediate: true, flush: 'sync' },
    )
  })
  return within('such a value', right)
}

function appWith(client: Client): App {
  return createApp({}).use(kalamPlugin(client))
}

describe('Vue', () => {
  test('useLive follows, opens another query when what it depends on changes, and ends with its scope', async () => {
    const client = await todos.newClient()
    const table = client.table('app.todos')
    await table.insertMany([
      { title: 'a', completed: false },
      { title: 'b', completed: true },
    ])
    const scope = effectScope()
    const completed = ref<boolean | undefined>(false)
    const { rows, status, live, connection } = appWith(client).runWithContext(() =>
      scope.run(() => ({
        ...useLive((kalam: Client) =>
          completed.value === undefined
            ? undefined
            : kalam.table('app.todos').live({ completed: completed.value }),
        ),
        connection: useConnection(),
      })),
    ) as ReturnType<typeof useLive<Todo, TodoSchema>> & {
      connection: ReturnType<typeof useConnection>
    }
    await becomes(rows, ({ length }) => length === 1)
    expect([titlesOf(rows.value), status.value]).toEqual([['a'], 'ready'])
    expect(connection.value.status).toBe('connected')
    const first = live.value
    completed.value = true
    await becomes(rows, ([row]) => row?.title === 'b')
    expect(first?.status).toBe('ended')
    await table.insert({ title: 'c', completed: true })
    await becomes(rows, ({ length }) => length === 2)
    completed.value = undefined
    await becomes(rows, ({ length }) => length === 0)
    completed.value = true
    await becomes(rows, ({ length }) => length === 2)
    scope.stop()
    expect(live.value?.status).toBe('ended')
  })

  test('useLive takes SQL with reactive parameters, and tells errors', async () => {
    const client = await todos.newClient()
    const scope = effectScope()
    const number = ref(1)
    const refs = appWith(client).runWithContext(() =>
      scope.run(() => useLive<{ n: number }>('SELECT 6 / $1::int AS n', () => [number.value])),
    )
    if (refs === undefined) throw new Error('the scope did not run')
    await becomes(refs.rows, ([row]) => row?.n === 6)
    number.value = 0
    await becomes(refs.error, isKalamError)
    expect([refs.status.value, refs.rows.value]).toEqual(['ended', []])
    number.value = 2
    await becomes(refs.rows, ([row]) => row?.n === 3)
    expect(refs.error.value).toBeUndefined()
    scope.stop()
  })

  test('without a client it says what is missing', () => {
    expect(() => createApp({}).runWithContext(() => useKalam())).toThrow(/kalamPlugin/u)
  })
})

describe('Pinia', () => {
  test('a store of live rows, with getters and actions; it outlives who used it first', async () => {
    const client = await todos.newClient()
    const useTodos = defineLiveStore('todos', open, ({ rows }, kalam) => ({
      titles: computed(() => titlesOf(rows.value)),
      add: (title: string) => kalam.table('app.todos').insert({ title }),
    }))
    const pinia = createPinia().use(kalamPinia(client))
    const app = appWith(client).use(pinia)
    const scope = effectScope()
    const store = app.runWithContext(() => scope.run(() => useTodos()))
    if (store === undefined) throw new Error('the scope did not run')
    scope.stop()
    await store.add('milk')
    await becomes(
      computed(() => store.titles),
      ([title]) => title === 'milk',
    )
    expect(store.status).toBe('ready')
    expect(store).toHaveProperty('$kalam', client)
    // Vue leaves both as they are, wherever they are put.
    const state = reactive({ client, live: store.live })
    expect(state.client.connection.state.status).toBe('connected')
    expect(state.live?.rows).toHaveLength(1)
    expect(app.runWithContext(() => useTodos())).toBe(store)
  })
})

describe('RxJS', () => {
  test('a query for each subscriber, closed with it; interop without a helper', async () => {
    const client = await todos.newClient()
    let last: ReturnType<typeof open> | undefined
    const rows = liveRows(() => (last = open(client)))
    const grown = firstValueFrom(
      rows.pipe(
        map(titlesOf),
        filter(({ length }) => length === 1),
      ),
    )
    await client.table('app.todos').insert({ title: 'tea' })
    expect(await within('rows', grown)).toEqual(['tea'])
    expect(last?.status).toBe('ended')
    const live = open(client)
    expect(titlesOf(await firstValueFrom(from(live)))).toEqual(['tea'])
    const kinds = liveEvents(() => open(client)).pipe(map(({ kind }) => kind))
    expect(await firstValueFrom(kinds)).toBe('rows')
    const states = firstValueFrom(
      connectionStates(client).pipe(
        map(({ status }) => status),
        toArray(),
      ),
    )
    client.close()
    expect(await states).toEqual(['connected', 'closed'])
  })
})

describe('React', () => {
  test('useLive follows, and ends with its component, also in StrictMode', async () => {
    const client = await todos.newClient()
    const window = new Window()
    // React looks for these where browsers have them.
    const { document, navigator } = window
    Object.assign(globalThis, { window, document, navigator })
    const { createRoot } = await import('react-dom/client')
    const opened: ReturnType<typeof open>[] = []
    let wake: () => void = () => undefined
    const container = window.document.createElement('div')
    const List = () => {
      const { rows, status } = useReactLive((kalam: Client) => {
        const live = open(kalam)
        opened.push(live)
        return live
      }, [])
      const { status: connection } = useReactConnection()
      return createElement('p', {}, `${connection} ${status} ${titlesOf(rows).join(',')}`)
    }
    new window.MutationObserver(() => wake()).observe(container, {
      ...{ childList: true, subtree: true, characterData: true },
    })
    const shows = async (text: string) => {
      while (container.textContent !== text)
        await within(
          `"${text}" in place of "${container.textContent}"`,
          new Promise<void>((resolve) => (wake = resolve)),
        )
    }
    // Its element is as good as a browser's.
    const root = createRoot(container as unknown as Element)
    root.render(
      createElement(StrictMode, {}, createElement(KalamProvider, { client }, createElement(List))),
    )
    await shows('connected ready ')
    await client.table('app.todos').insert({ title: 'jam' })
    await shows('connected ready jam')
    root.unmount()
    while (opened.some(({ status }) => status !== 'ended'))
      await new Promise((resolve) => setImmediate(resolve))
    await window.happyDOM.close()
    for (const name of ['window', 'document', 'navigator']) Reflect.deleteProperty(globalThis, name)
  })
})
