/**
 * Under which a client keeps its connection, for feed.ts: that is another entry of this package, which
 * shares no code with the client's.
 */
export const connectionSymbol = Symbol.for('kalam-link.connection')
