/**
 * Every error a caller can get, with what each door makes of it. `sqlState` is what the Postgres
 * wire sends when PostgreSQL itself gave none; PostgreSQL's own SQLSTATE always wins.
 * `retry`: the same request may succeed later, unchanged. docs/errors.md explains each; a test
 * keeps both lists equal.
 */
export const errorCodes = {
  /** The request is not what the door understands: bad JSON, a wrong type, an unknown field. */
  BAD_REQUEST: { status: 400, sqlState: '08P01', retry: false },
  /** The SQL text cannot be parsed. */
  SYNTAX_ERROR: { status: 400, sqlState: '42601', retry: false },
  /** PostgreSQL refused the statement: unknown table, bad value, division by zero. */
  QUERY_REJECTED: { status: 400, sqlState: '42000', retry: false },
  /** KalamDB refuses the statement, with the reason: it would break isolation, or has no meaning here. */
  STATEMENT_REFUSED: { status: 400, sqlState: '0A000', retry: false },
  /** The query cannot be live; the message says which part of it, and why. */
  LIVE_REFUSED: { status: 400, sqlState: '0A000', retry: false },
  /** No key, or one that is unknown, expired or revoked. */
  UNAUTHORIZED: { status: 401, sqlState: '28P01', retry: false },
  /** The caller is known and may not do this. */
  FORBIDDEN: { status: 403, sqlState: '42501', retry: false },
  /** No such path, user, key or table. */
  NOT_FOUND: { status: 404, sqlState: '42704', retry: false },
  METHOD_NOT_ALLOWED: { status: 405, sqlState: '08P01', retry: false },
  /** The path opens a WebSocket, and the request does not ask for one as it should. */
  UPGRADE_REQUIRED: { status: 426, sqlState: '08P01', retry: false },
  /** The body's Content-Type is not one the path takes. */
  UNSUPPORTED_MEDIA_TYPE: { status: 415, sqlState: '08P01', retry: false },
  /** Unique, foreign key, check, exclusion or not-null constraint. */
  CONSTRAINT_VIOLATION: { status: 409, sqlState: '23000', retry: false },
  /** It exists already. */
  ALREADY_EXISTS: { status: 409, sqlState: '42710', retry: false },
  /** The transaction must be run again from its start. */
  TRANSACTION_CONFLICT: { status: 409, sqlState: '40001', retry: true },
  /** The body is larger than `http.body_bytes_max`, the data of a COPY than `http.copy_body_bytes_max`, or a message than `socket.message_bytes_max` or `postgres_wire.message_bytes_max`. */
  REQUEST_TOO_LARGE: { status: 413, sqlState: '54000', retry: false },
  /** The result is larger than `http.result_bytes_max`; stream it instead. */
  RESULT_TOO_LARGE: { status: 413, sqlState: '54000', retry: false },
  /** More parameters than `http.parameters_max`, or more statements than `http.statements_max`. */
  TOO_MANY_PARAMETERS: { status: 413, sqlState: '54023', retry: false },
  /** This Idempotency-Key was used for another request. */
  IDEMPOTENCY_KEY_REUSED: { status: 422, sqlState: '22023', retry: false },
  /** More live queries than `live.queries_max`, or for one user `live.queries_per_user_max`. */
  LIVE_LIMIT: { status: 429, sqlState: '53400', retry: true },
  /** More requests per second than this key may make. */
  RATE_LIMITED: { status: 429, sqlState: '53400', retry: true },
  /** More subscriptions on a WebSocket than `socket.subscriptions_max`. */
  TOO_MANY_SUBSCRIPTIONS: { status: 429, sqlState: '53400', retry: false },
  /** More than `socket.buffered_bytes_max` waited for a reader. Nothing is lost: resume from the last cursor. Or more than `postgres_wire.notified_bytes_max` of notifications, which are lost. */
  SUBSCRIBER_TOO_SLOW: { status: 429, sqlState: '53400', retry: true },
  /** A WebSocket or a client of the Postgres wire was not authenticated, or gave no sign of life, in time. */
  SOCKET_TIMEOUT: { status: 408, sqlState: '08006', retry: true },
  /** The role or the rights of the user of a WebSocket or of the Postgres wire have changed: connect again. */
  CALLER_CHANGED: { status: 409, sqlState: '28000', retry: true },
  /** The statement reached its deadline, `engine.statement_timeout_ms`. */
  STATEMENT_TIMEOUT: { status: 408, sqlState: '57014', retry: false },
  /** Others waited longer than `engine.transaction_timeout_ms` for the transaction, an admin's `engine.admin_transaction_timeout_ms`, or it was idle for too long meanwhile. */
  TRANSACTION_TIMEOUT: { status: 408, sqlState: '25P04', retry: true },
  /** The caller asked to cancel, or went away. */
  CANCELLED: { status: 499, sqlState: '57014', retry: true },
  /** The statement needs more memory or depth than the engine has. */
  OUT_OF_RESOURCES: { status: 503, sqlState: '53000', retry: false },
  /** The session kept more of the engine's memory than `engine.session_bytes_max`, or the most when that of all, `engine.sessions_bytes_max`, was passed. It was ended. */
  SESSION_TOO_LARGE: { status: 503, sqlState: '53400', retry: true },
  /** The disk is full. Nothing of the statement was kept. */
  DISK_FULL: { status: 507, sqlState: '53100', retry: false },
  /** Another transaction holds the engine for longer than this request may wait. */
  LEASE_TIMEOUT: { status: 503, sqlState: '55P03', retry: true },
  /** More requests wait than `engine.queue_max` or `socket.queries_max`, or more sockets than `socket.sockets_max` or `postgres_wire.connections_max`. */
  OVERLOADED: { status: 503, sqlState: '53300', retry: true },
  /** The engine failed and was started again; whether an unacknowledged write was kept is unknown. */
  ENGINE_RESTARTED: { status: 503, sqlState: '57P01', retry: true },
  /** The server is starting or stopping. */
  UNAVAILABLE: { status: 503, sqlState: '57P03', retry: true },
  /** The configuration stops the start; the message names the key and where it was set. */
  CONFIG_INVALID: { status: 500, sqlState: 'F0000', retry: false },
  /** The data folder cannot be opened: locked, unwritable, of another version. */
  DATA_FOLDER: { status: 500, sqlState: '58030', retry: false },
  /** Our bug. The log has the stack; the caller gets an id to name. */
  INTERNAL: { status: 500, sqlState: 'XX000', retry: false },
} as const satisfies Record<string, { status: number; sqlState: string; retry: boolean }>

export type ErrorCode = keyof typeof errorCodes
