/** The one database of a server, as every PostgreSQL client has to name one; the engine's own is called as PGlite calls it. */
export const databaseName = 'kalamdb'
