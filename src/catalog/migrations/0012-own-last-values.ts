/**
 * `lastval()` is the caller's own: PDO's and Doctrine's `lastInsertId()` ask for it after an INSERT, whose
 * trigger has by then taken numbers for the log of changes. PostgreSQL remembers the sequence that
 * `nextval` was last called for, so the log takes its numbers by `setval`, which leaves that alone.
 */
import type { Migration } from '../migration.js'

const before = `'kalam.changes_seq_seq'`
const after = `'kalam.change_numbers'`

/** One engine writes the log, one statement at a time: nobody takes a number between the two calls. */
const next = `pg_catalog.setval(${after}, pg_catalog.pg_sequence_last_value(${after}) + 1)`

/** DDL is itself logged, and so the numbers go over at one stroke. */
export const ownLastValues: Migration = {
  version: 12,
  name: 'own-last-values',
  sql: `
create sequence kalam.change_numbers minvalue 0;
grant select, update on sequence kalam.change_numbers to kalam_sys;
perform setval(${after}, coalesce(pg_sequence_last_value(${before}), 0));
alter table kalam.changes alter column seq drop identity, alter column seq set default ${next};
alter sequence kalam.change_numbers owned by kalam.changes.seq;
`,
}
