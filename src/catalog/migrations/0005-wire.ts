/** What the Postgres wire needs to tell a stranger nothing: whether a user is there least of all. */
import type { Migration } from '../migration.js'

export const wire: Migration = {
  version: 5,
  name: 'wire',
  sql: `
-- Salts of users that are none are made from it: the same each time, as those of users are. No role
-- of a caller may read it.
create table kalam.salt_secret (value bytea not null);
insert into kalam.salt_secret
  values (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));
`,
}
