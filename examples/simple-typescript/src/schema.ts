// Written by `kalam types` from http://127.0.0.1:2900: write it anew when tables change.
export interface Schema {
  readonly 'app.todos': {
    readonly row: {
      readonly id: number
      readonly title: string
      readonly completed: boolean
      readonly created_at: string
      readonly _user_id: string
      readonly _deleted: boolean
    }
    readonly insert: {
      readonly id?: number | undefined
      readonly title: string
      readonly completed?: boolean | undefined
      readonly created_at?: string | Date | undefined
    }
  }
}
