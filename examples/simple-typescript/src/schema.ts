/** The tables of the app, as `kalam types` writes them. */
export interface Schema {
  'app.todos': {
    row: { id: number; title: string; completed: boolean; created_at: string }
    insert: { id?: number; title: string; completed?: boolean; created_at?: string }
  }
}

export type Todo = Schema['app.todos']['row']
