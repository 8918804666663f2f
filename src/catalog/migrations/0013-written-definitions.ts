/**
 * Definitions of keys as they were written: SQLAlchemy reads a foreign key's columns from its text, and
 * Alembic would make it anew with each migration.
 */
import type { Migration } from '../migration.js'

export const writtenDefinitions: Migration = {
  version: 13,
  name: 'written-definitions',
  sql: `
create function kalam.pg_get_constraintdef(constr oid, pretty boolean) returns text
  language sql stable parallel safe
  return case when exists (
      select from pg_catalog.pg_constraint c join kalam.written_constraint w on w.oid = c.oid
       where c.oid = constr and c.contype in ('p', 'u', 'f')
         and cardinality(w.conkey) < cardinality(c.conkey))
    then replace(pg_catalog.pg_get_constraintdef(constr, pretty), '(_user_id, ', '(')
    else pg_catalog.pg_get_constraintdef(constr, pretty) end;
create function kalam.pg_get_constraintdef(constr oid) returns text
  language sql stable parallel safe return kalam.pg_get_constraintdef(constr, false);
`,
}
