/** `kalam-link`, so far: a connection that holds, and subscriptions on it. */
export { LinkConnection } from './link-connection.js'
export type {
  LinkConnectionOptions,
  LinkSocket,
  LinkSocketConstructor,
  LinkSubscription,
} from './link-connection.js'
export type { LinkStatus, SubscribeRequest, SubscriptionEvent } from './link-core.js'
export { statusOf } from './link-error.js'
export type { LinkError } from './link-error.js'
