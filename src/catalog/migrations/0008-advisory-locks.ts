/**
 * PostgreSQL's advisory locks between sessions, though one backend serves them all and would give
 * itself any lock again. Each is PostgreSQL's own lock, so that it counts, and ends with its
 * transaction, as PostgreSQL's do; but its key is (session, slot), and who wants a slot looks first
 * whether another session has it. (0010-waiting-locks has others in their place.)
 *
 * A slot is of what the caller locks; for the role user also of who the user is: nobody can hold up
 * another. Two keys share one with a chance of 1 in 2^31, and then one waits in vain.
 */
import type { Migration } from '../migration.js'

const definer = 'security definer set search_path = pg_catalog, pg_temp'

interface Key {
  /** Of the arguments, as PostgreSQL has them. */
  readonly parameters: string
  /** Another text for another key. */
  readonly text: string
}

const keys: readonly Key[] = [
  { parameters: 'key bigint', text: 'key::text' },
  {
    parameters: 'key1 integer, key2 integer',
    text: `key1 || ',' || key2`,
  },
]

const modes = [
  { suffix: '', mode: 'exclusive' },
  { suffix: '_shared', mode: 'shared' },
] as const

export const advisoryLocks: Migration = {
  version: 8,
  name: 'advisory-locks',
  sql: [slots(), taking(), ...keys.map(functionsOf), unlockAll()].join('\n'),
}

function slots(): string {
  return `
create function kalam.advisory_slot(key text) returns integer
  language sql stable set search_path = pg_catalog, pg_temp as $$
  select hashtext(concat(
    (select u.user_id from kalam.users u where u.user_id = kalam.uid() and u.role = 'user'),
    ' ', key)) & 2147483647
$$;
revoke execute on function kalam.advisory_slot(text) from public;
`
}

function taking(): string {
  return `
create function kalam.has_advisory_lock(session integer, slot integer, wanted text) returns boolean
  language sql volatile set search_path = pg_catalog, pg_temp as $$
  select exists (
    select from pg_lock_status() l
     where l.locktype = 'advisory' and l.objsubid = 2 and l.objid = slot::oid
       and l.classid <> session::oid
       and (wanted = 'exclusive' or l.mode = 'ExclusiveLock'))
$$;
revoke execute on function kalam.has_advisory_lock(integer, integer, text) from public;

create function kalam.refuse_advisory_lock(key text) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'another session has the advisory lock %', key
    using errcode = '55P03', hint = 'Ask for it again, or with pg_try_advisory_lock.';
end $$;
revoke execute on function kalam.refuse_advisory_lock(text) from public;
`
}

function functionsOf(key: Key): string {
  const takers = modes.flatMap(({ suffix, mode }) =>
    ['', '_xact'].map((scope) => takersOf(key, `advisory${scope}_lock${suffix}`, mode)),
  )
  return [...takers, ...modes.map(({ suffix }) => unlock(key, suffix))].join('\n')
}

function takersOf({ parameters, text }: Key, name: string, mode: string): string {
  const body = `
declare
  slot integer := kalam.advisory_slot(${text});
begin
  if kalam.has_advisory_lock(session, slot, '${mode}') then`
  const take = `
  end if;
  perform pg_${name}(session, slot);`
  return `
create function kalam.pg_try_${name}(session integer, ${parameters}) returns boolean
  language plpgsql strict ${definer} as $$${body}
    return false;${take}
  return true;
end $$;
create function kalam.pg_${name}(session integer, ${parameters}) returns void
  language plpgsql strict ${definer} as $$${body}
    perform kalam.refuse_advisory_lock(${text});${take}
end $$;
`
}

/** PostgreSQL itself warns of a lock that the session has not. */
function unlock({ parameters, text }: Key, suffix: string): string {
  return `
create function kalam.pg_advisory_unlock${suffix}(session integer, ${parameters}) returns boolean
  language plpgsql strict ${definer} as $$
begin
  return pg_advisory_unlock${suffix}(session, kalam.advisory_slot(${text}));
end $$;
`
}

/** As many times as each was taken. What ends with a transaction is there still, and cannot be. */
function unlockAll(): string {
  return `
create function kalam.pg_advisory_unlock_all(session integer) returns void
  language plpgsql strict ${definer} set client_min_messages = error as $$
declare
  held record;
begin
  for held in
    select l.objid::integer as slot, l.mode from pg_lock_status() l
     where l.locktype = 'advisory' and l.objsubid = 2 and l.classid = session::oid
  loop
    if held.mode = 'ExclusiveLock' then
      while pg_advisory_unlock(session, held.slot) loop end loop;
    else
      while pg_advisory_unlock_shared(session, held.slot) loop end loop;
    end if;
  end loop;
end $$;
`
}
