/** kalam-link: what an app imports. */
import { KalamClient, type ClientOptions } from './client.js'
import { platform } from './platform.js'
import type { AnySchema, Schema } from './schema.js'

/**
 * Makes a client, which connects at once and stays connected until it is closed. Throws KalamError:
 * `CONFIG_…` says which option is missing or wrong, `WASM_…` and `NO_WEBSOCKET` what the place lacks.
 */
export function createClient<S extends Schema = AnySchema>(options: ClientOptions): KalamClient<S> {
  return new KalamClient<S>(options, platform)
}

export type {
  BatchOptions,
  ClientOptions,
  ConnectionState,
  ConnectionStates,
  ConnectionStatus,
  KalamClient,
  LiveOptions,
  QueryOptions,
  QueryResult,
  ReconnectOptions,
  Statement,
  User,
} from './client.js'
export type { Observer, Stream, Subscribable, SubscribeOptions, Unsubscribe } from './channel.js'
export type { SocketLike, WebSocketConstructor } from './connection.js'
export { isKalamError, KalamError } from './kalam-error.js'
export type { ClientErrorCode, ErrorDetails, KalamErrorCode } from './kalam-error.js'
export { storageCache } from './live-cache.js'
export type { LiveCache, StorageCacheOptions, StorageLike } from './live-cache.js'
export type { Change, LiveEvent, LiveQuery, LiveStatus } from './live-query.js'
export type { Column } from './row-shape.js'
export type {
  AnySchema,
  AnyTable,
  InsertOf,
  RowOf,
  Schema,
  TableName,
  TableTypes,
} from './schema.js'
export type { Table, Where, WriteOptions } from './table.js'
