/** What the tests use of packages that come without types. */
declare module 'pg-cursor' {
  import type { Connection, Submittable } from 'pg'
  export default class Cursor<Row = unknown> implements Submittable {
    constructor(text: string, values?: readonly unknown[])
    submit(connection: Connection): void
    read(rowsMax: number): Promise<Row[]>
    close(): Promise<void>
  }
}

declare module 'pg-copy-streams' {
  import type { Duplex, Writable } from 'node:stream'
  import type { Connection, Submittable } from 'pg'
  export interface CopyFrom extends Writable, Submittable {
    readonly rowCount: number
    submit(connection: Connection): void
  }
  export interface CopyTo extends Duplex, Submittable {
    submit(connection: Connection): void
  }
  export function from(text: string): CopyFrom
  export function to(text: string): CopyTo
}
