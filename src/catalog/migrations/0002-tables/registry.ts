/** The roles behind managed tables, the list of these tables, and the log of their changes. */
export function registry(): string {
  return `
-- Owns the twins and the functions of triggers, reads managed and watched tables, adds to the log and
-- orders it: nothing else. No superuser, so that whatever a table could smuggle into a trigger would
-- not be one either. Users' rows it reads whatever row_security says.
create role kalam_sys nologin bypassrls;
-- Computes casts and defaults for twins, which are the admins', and has no right.
create role kalam_cast nologin;
grant execute on function set_config(text, text, boolean) to kalam_cast;
-- Removes rows of streams, with which triggers of the admins' run, and has no other right.
create role kalam_reaper nologin bypassrls;
grant usage on schema public, kalam to kalam_reaper;
-- What an admin's statements run as while row_security is off.
create role kalam_everything nologin bypassrls;
grant kalam_admin to kalam_everything;
alter default privileges for role kalam_everything grant usage on schemas to public;

create schema kalam_deleted;
grant usage on schema kalam_deleted to public;
grant usage on schema public to kalam_sys;

create table kalam.tables (
  id integer generated always as identity primary key,
  tab regclass not null unique,
  -- plain: only its changes are logged.
  kind text not null check (kind in ('user', 'shared', 'stream', 'plain')),
  -- Where its deleted rows are; null for stream and plain.
  twin regclass,
  -- Grows with every change of its columns or key; changes carry the version they are written in.
  version integer not null default 1,
  -- The seq in kalam.changes of the S that began the version.
  version_since bigint not null,
  -- Of a stream: how long a row is there.
  ttl interval,
  -- Null: the server's setting.
  deleted_retention interval,
  -- Columns and key as of the version: see kalam.shape_of.
  shape text not null
);
-- Policies ask for the table behind a twin.
grant select (id, tab) on kalam.tables to public;

-- In the order of seq, the last entry of a key tells its state: after each statement that a caller
-- sent, whatever PostgreSQL did inside of it and in which order.
create table kalam.changes (
  seq bigint generated always as identity primary key,
  xid xid8 not null default pg_current_xact_id(),
  at timestamptz not null default now(),
  -- 0 for G.
  table_id integer not null,
  version integer not null,
  -- I, U, D: a row. S: the table's shape is new. X: the table is gone. G: rights have changed.
  op "char" not null,
  -- The row's _user_id.
  owner text,
  -- JSON arrays of the columns' texts in the order of the table, system columns left out.
  old text,
  new text
);
grant select, insert, delete on kalam.changes to kalam_sys;
grant usage on schema kalam to kalam_sys;

-- The last transaction that has logged anything. Unlogged: it writes no WAL.
create unlogged sequence kalam.logged;
grant select, update on sequence kalam.logged to kalam_sys;

-- Names this log: cursors of another one, from before a restore, must not be taken for its own.
create table kalam.log (
  incarnation text not null,
  -- Retention has taken changes up to this seq.
  forgotten bigint not null default 0
);
create unique index log_one_row on kalam.log ((true));
insert into kalam.log (incarnation) values (replace(gen_random_uuid()::text, '-', ''));
`
}
