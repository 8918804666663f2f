/**
 * Extensions that `engine.extensions` may name, and where PGlite keeps each. Left out are those
 * that read files or raw pages (file_fdw, pageinspect, pg_surgery, …): they reach around isolation.
 */
const contrib = (name: string, exported = name) => ({
  module: `@electric-sql/pglite/contrib/${name}`,
  export: exported,
})

export const availableExtensions = {
  bloom: contrib('bloom'),
  btree_gin: contrib('btree_gin'),
  btree_gist: contrib('btree_gist'),
  citext: contrib('citext'),
  cube: contrib('cube'),
  dict_int: contrib('dict_int'),
  dict_xsyn: contrib('dict_xsyn'),
  earthdistance: contrib('earthdistance'),
  fuzzystrmatch: contrib('fuzzystrmatch'),
  hstore: contrib('hstore'),
  intarray: contrib('intarray'),
  isn: contrib('isn'),
  ltree: contrib('ltree'),
  pg_trgm: contrib('pg_trgm'),
  pgcrypto: contrib('pgcrypto'),
  seg: contrib('seg'),
  tablefunc: contrib('tablefunc'),
  tsm_system_rows: contrib('tsm_system_rows'),
  tsm_system_time: contrib('tsm_system_time'),
  unaccent: contrib('unaccent'),
  'uuid-ossp': contrib('uuid_ossp'),
  vector: { module: '@electric-sql/pglite-pgvector', export: 'vector' },
} as const satisfies Record<string, { readonly module: string; readonly export: string }>

export type ExtensionName = keyof typeof availableExtensions
