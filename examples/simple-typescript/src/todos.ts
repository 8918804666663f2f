import { storageCache, type KalamClient } from 'kalam-link'
import { defineLiveStore } from 'kalam-link/pinia'
import { useConnection } from 'kalam-link/vue'
import { computed, ref, watch } from 'vue'
import type { Schema } from './schema'

export type Todo = Pick<Schema['app.todos']['row'], 'id' | 'title' | 'completed'>

const sql = 'SELECT id, title, completed FROM app.todos'
const storage = storageCache({ prefix: 'todos:' })

/** The user's todos, kept current by the server, whichever tab or program changes them. */
export const useTodos = defineLiveStore(
  'todos',
  (kalam: KalamClient<Schema>) => kalam.live<Todo>(sql),
  ({ rows, status }, kalam) => {
    const connection = useConnection(kalam)
    const isConnected = computed(() => connection.value.status === 'connected')
    const isLoading = computed(() => status.value === 'loading')
    const todos = computed(() => [...rows.value].sort((a, b) => b.id - a.id))
    /** Why the last write was not done. */
    const problem = ref('')

    // The rows themselves, and how far they reach, are in the client's cache.
    watch(todos, ([newest]) => newest && storage.write('highest-id', String(newest.id)))

    const table = kalam.table('app.todos')

    /** Whether it was done. */
    async function write(work: Promise<unknown>): Promise<boolean> {
      problem.value = ''
      try {
        await work
        return true
      } catch (error) {
        problem.value = error instanceof Error ? error.message : String(error)
        return false
      }
    }

    return {
      todos,
      isConnected,
      isLoading,
      problem,
      // No list is changed here: what the server tells changes it, in every tab alike.
      add: (title: string) => write(table.insert({ title })),
      toggle: ({ id, completed }: Todo) => write(table.update({ id }, { completed: !completed })),
      // When another tab was faster there is nothing to delete, and that is fine.
      remove: ({ id }: Todo) => write(table.delete({ id })),
    }
  },
)
