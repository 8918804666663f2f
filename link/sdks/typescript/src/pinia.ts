/** Pinia: a store of live rows, and the client in every store. */
import { defineStore, type PiniaPlugin } from 'pinia'
import { effectScope, markRaw } from 'vue'
import type { KalamClient } from './client.js'
import type { AnySchema, Schema } from './schema.js'
import { useLive, useKalam, type LiveRefs, type OpenLive } from './vue.js'

/**
 * A store whose `rows` are those of a live query, with what `extend` adds: getters and actions. It opens
 * with its first use, and stays.
 *
 *     const useTodos = defineLiveStore('todos', (kalam) => kalam.table('app.todos').live(),
 *       ({ rows }, kalam) => ({ open: computed(() => rows.value.filter((todo) => !todo.completed)) }))
 */
export function defineLiveStore<
  Id extends string,
  Row,
  S extends Schema = AnySchema,
  More extends object = object,
>(
  id: Id,
  source: OpenLive<Row, S>,
  extend?: (refs: LiveRefs<Row>, client: KalamClient<S>) => More,
) {
  return defineStore(id, () => {
    const client = useKalam<S>()
    // A store outlives the component that used it first.
    const refs = effectScope(true).run(() => useLive(source, [], client))
    if (refs === undefined) throw new Error('assertion failed: a new scope runs')
    // Without an extension there is nothing more.
    const more = extend?.(refs, client) ?? ({} as More)
    return { ...refs, ...more }
  })
}

/** `pinia.use(kalamPinia(client))`: `store.$kalam` in every store. */
export function kalamPinia<S extends Schema>(client: KalamClient<S>): PiniaPlugin {
  return () => ({ $kalam: markRaw(client) })
}
