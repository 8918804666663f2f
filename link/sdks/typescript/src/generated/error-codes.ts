// Made from src/protocol/error-code.ts by scripts/link-protocol.js: change it there.
/** Every code that the server has; its docs/errors.md explains each. */
export type ErrorCode =
  | 'BAD_REQUEST'
  | 'SYNTAX_ERROR'
  | 'QUERY_REJECTED'
  | 'STATEMENT_REFUSED'
  | 'LIVE_REFUSED'
  | 'UNAUTHORIZED'
  | 'FORBIDDEN'
  | 'NOT_FOUND'
  | 'METHOD_NOT_ALLOWED'
  | 'UPGRADE_REQUIRED'
  | 'UNSUPPORTED_MEDIA_TYPE'
  | 'CONSTRAINT_VIOLATION'
  | 'ALREADY_EXISTS'
  | 'TRANSACTION_CONFLICT'
  | 'REQUEST_TOO_LARGE'
  | 'RESULT_TOO_LARGE'
  | 'TOO_MANY_PARAMETERS'
  | 'IDEMPOTENCY_KEY_REUSED'
  | 'LIVE_LIMIT'
  | 'RATE_LIMITED'
  | 'TOO_MANY_SUBSCRIPTIONS'
  | 'SUBSCRIBER_TOO_SLOW'
  | 'SOCKET_TIMEOUT'
  | 'CALLER_CHANGED'
  | 'STATEMENT_TIMEOUT'
  | 'TRANSACTION_TIMEOUT'
  | 'CANCELLED'
  | 'OUT_OF_RESOURCES'
  | 'DISK_FULL'
  | 'LEASE_TIMEOUT'
  | 'OVERLOADED'
  | 'ENGINE_RESTARTED'
  | 'UNAVAILABLE'
  | 'CONFIG_INVALID'
  | 'DATA_FOLDER'
  | 'INTERNAL'

/** The same request may succeed later, unchanged. */
export const retryableCodes: readonly string[] = [
  'TRANSACTION_CONFLICT',
  'LIVE_LIMIT',
  'RATE_LIMITED',
  'SUBSCRIBER_TOO_SLOW',
  'SOCKET_TIMEOUT',
  'CALLER_CHANGED',
  'TRANSACTION_TIMEOUT',
  'CANCELLED',
  'LEASE_TIMEOUT',
  'OVERLOADED',
  'ENGINE_RESTARTED',
  'UNAVAILABLE',
  'NOT_CONNECTED',
]
