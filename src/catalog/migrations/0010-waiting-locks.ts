/**
 * Advisory locks for everybody: sessions of the Postgres wire, requests over HTTP, functions that
 * either calls. PostgreSQL's functions of that name give way to the system's, and serve those from
 * the schema `kalam`: a lock is still PostgreSQL's own, so that it counts, and ends with its
 * transaction, as PostgreSQL's do.
 *
 *   (session, slot)        what a session has; the session is 0 for all over HTTP, where one at a time
 *                          has the engine and gives all back at its end
 *   session << 32 | slot   what a session waits for: nobody who comes later gets it before
 *
 * Nobody can wait inside of the one backend: who may not have a lock is told so by an error, and
 * database/advisory-locks.ts waits and runs the statement again. It hears of locks by notices.
 */
import { advisoryLockState, temporaryObjectState } from '../../engine/backend-messages.js'
import type { Migration } from '../migration.js'

/**
 * PostgreSQL has room for some 18,000 locks of all kinds, and without room no statement runs at all
 * (max_locks_per_transaction). Users leave some for services and admins, and those for tables.
 */
const locksMax = 8_000
const locksMaxForUsers = 4_000
const locksOfSessionMax = 1_000

const path = 'set search_path = pg_catalog, pg_temp'
const heard = 'set client_min_messages = notice'
const told = `errcode = '${advisoryLockState}'`

interface Key {
  /** Of the arguments, as PostgreSQL has them. */
  readonly parameters: string
  /** Another text for another key. */
  readonly text: string
}

/** The functions have their caller's search path. */
const keys: readonly Key[] = [
  { parameters: 'key bigint', text: 'key::pg_catalog.text' },
  {
    parameters: 'key1 integer, key2 integer',
    text: `pg_catalog.format('%s,%s', key1, key2)`,
  },
]

const kinds = ['exclusive', 'shared'] as const
const ends = ['session', 'transaction'] as const

export const waitingLocks: Migration = {
  version: 10,
  name: 'waiting-locks',
  sql: [
    ...[moving(), taking(), givingBack(), waiting()],
    ...keys.flatMap((key) => kinds.flatMap((kind) => functionsOf(key, kind))),
    unlockAll(),
    'perform kalam.note_initial_rights();',
  ].join('\n'),
}

/** PostgreSQL's own are called by their number inside of it: what is moved stays what it is. */
function moving(): string {
  return `
declare
  routine record;
begin
  for routine in
    select p.oid::regprocedure as signature from pg_proc p
     where p.pronamespace = 'kalam'::regnamespace
       and (p.proname ~ '^pg_(try_)?advisory_'
            or p.proname in ('has_advisory_lock', 'refuse_advisory_lock'))
  loop
    execute format('drop function %s', routine.signature);
  end loop;
  for routine in
    select p.proname, pg_get_function_identity_arguments(p.oid) as arguments from pg_proc p
     where p.pronamespace = 'pg_catalog'::regnamespace and p.proname ~ '^pg_(try_)?advisory_'
  loop
    execute format('alter function pg_catalog.%I(%s) set schema kalam',
                   routine.proname, routine.arguments);
    execute format('revoke execute on function kalam.%I(%s) from public, kalam_admin',
                   routine.proname, routine.arguments);
  end loop;
end;

-- Whose turn it is: the engine says so where no SQL can.
create function kalam.session() returns integer
  language sql stable parallel safe
  return pg_catalog.current_setting('event_source')::pg_catalog.int4;
`
}

function taking(): string {
  return `
create function kalam.take_advisory_lock(key text, kind text, ends text, waits boolean)
  returns boolean language plpgsql security definer ${path} ${heard} as $$
declare
  session integer := kalam.session();
  slot integer := kalam.advisory_slot(key);
  locks record;
begin
  select
    coalesce(bool_or(objsubid = 2 and other and conflicts), false) as others_have,
    coalesce(bool_or(objsubid = 1 and other and conflicts), false) as others_want,
    coalesce(bool_or(objsubid = 2 and mine), false) as has,
    max(mode) filter (where objsubid = 1 and mine) as wants,
    count(*) as present,
    count(*) filter (where classid = session::oid) as own
    into locks
    from (
      select l.objsubid, l.mode, l.classid,
             l.objid = slot::oid and l.classid = session::oid as mine,
             l.objid = slot::oid and l.classid <> session::oid as other,
             kind = 'exclusive' or l.mode = 'ExclusiveLock' as conflicts
        from pg_lock_status() l where l.locktype = 'advisory') l;
  if locks.others_have or locks.others_want and not locks.has and locks.wants is null then
    if not waits then
      return false;
    end if;
    raise exception 'another session has the advisory lock %', key using errcode = '55P03',
      detail = 'It cannot give it back while this transaction has the engine.',
      hint = 'Take it outside of transactions or first of all in one: then it is waited for.',
      schema = 'kalam', constraint = slot || ' ' || kind;
  end if;
  if not locks.has then
    perform kalam.refuse_more_advisory_locks(locks.present, locks.own);
  end if;
  if ends = 'session' then
    if kind = 'exclusive' then perform kalam.pg_advisory_lock(session, slot);
    else perform kalam.pg_advisory_lock_shared(session, slot); end if;
    -- Over HTTP the session ends with the request.
    if session = 0 then
      raise notice 'an advisory lock was taken' using errcode = '${temporaryObjectState}';
    end if;
  else
    if kind = 'exclusive' then perform kalam.pg_advisory_xact_lock(session, slot);
    else perform kalam.pg_advisory_xact_lock_shared(session, slot); end if;
  end if;
  -- A request over HTTP is told apart from others outside of here.
  if locks.wants is not null and session <> 0 then
    perform kalam.stop_wanting_advisory_lock(session, slot,
      case locks.wants when 'ExclusiveLock' then 'exclusive' else 'shared' end);
  end if;
  raise notice '% % %', ends, slot, kind using ${told};
  return true;
end $$;

create function kalam.refuse_more_advisory_locks(present bigint, own bigint) returns void
  language plpgsql ${path} as $$
declare
  present_max bigint := case when exists (
    select from kalam.users u where u.user_id = kalam.uid() and u.role = 'user')
    then ${locksMaxForUsers} else ${locksMax} end;
begin
  if own >= ${locksOfSessionMax} then
    raise exception 'a session has at most ${locksOfSessionMax} advisory locks' using errcode = '53400';
  end if;
  if present >= present_max then
    raise exception 'there are % advisory locks already, and % at most', present, present_max
      using errcode = '53400';
  end if;
end $$;
revoke execute on function kalam.refuse_more_advisory_locks(bigint, bigint) from public;
`
}

/** PostgreSQL's own warning stays in here; who called gets one at the level that is theirs. */
function givingBack(): string {
  return `
create function kalam.give_advisory_lock_back(key text, kind text) returns boolean
  language plpgsql security definer ${path} ${heard} as $$
declare
  session integer := kalam.session();
  slot integer := kalam.advisory_slot(key);
  had boolean;
begin
  if kind = 'exclusive' then had := kalam.pg_advisory_unlock(session, slot);
  else had := kalam.pg_advisory_unlock_shared(session, slot); end if;
  if had then
    raise notice 'given back' using ${told};
  end if;
  return had;
end $$;

-- As many times as each was taken. What ends with a transaction is there still, and cannot be.
create function kalam.give_advisory_locks_back(session integer) returns void
  language plpgsql ${path} set client_min_messages = error as $$
declare
  held record;
begin
  for held in
    select l.objid::bigint::integer as slot, l.mode from pg_lock_status() l
     where l.locktype = 'advisory' and l.objsubid = 2 and l.classid = session::oid
  loop
    if held.mode = 'ExclusiveLock' then
      while kalam.pg_advisory_unlock(session, held.slot) loop end loop;
    else
      while kalam.pg_advisory_unlock_shared(session, held.slot) loop end loop;
    end if;
  end loop;
end $$;
revoke execute on function kalam.give_advisory_locks_back(integer) from public;
`
}

function waiting(): string {
  return `
-- A session waits from now on. What the statement that is to run again took is given back.
create function kalam.want_advisory_lock(
  session integer, slot integer, kind text, taken_slots integer[], taken_kinds text[])
  returns void language plpgsql ${path} as $$
declare
  taken record;
begin
  for taken in select t.slot, t.kind from unnest(taken_slots, taken_kinds) t (slot, kind) loop
    if taken.kind = 'exclusive' then perform kalam.pg_advisory_unlock(session, taken.slot);
    else perform kalam.pg_advisory_unlock_shared(session, taken.slot); end if;
  end loop;
  if kind = 'exclusive' then perform kalam.pg_advisory_lock((session::bigint << 32) | slot);
  else perform kalam.pg_advisory_lock_shared((session::bigint << 32) | slot); end if;
end $$;

create function kalam.stop_wanting_advisory_lock(session integer, slot integer, kind text)
  returns void language plpgsql ${path} set client_min_messages = error as $$
begin
  if kind = 'exclusive' then perform kalam.pg_advisory_unlock((session::bigint << 32) | slot);
  else perform kalam.pg_advisory_unlock_shared((session::bigint << 32) | slot); end if;
end $$;

-- For each who waits, in the order of the lists, the sessions that have what is waited for.
create function kalam.advisory_lock_holders(sessions integer[], slots integer[], kinds text[])
  returns setof integer[] language sql stable ${path} as $$
  with locks as materialized (
    select l.classid, l.objid, l.mode from pg_lock_status() l
     where l.locktype = 'advisory' and l.objsubid = 2)
  select array(
    select l.classid::bigint::integer from locks l
     where l.objid = w.slot::oid and l.classid <> w.session::oid
       and (w.kind = 'exclusive' or l.mode = 'ExclusiveLock'))
    from unnest(sessions, slots, kinds) with ordinality w (session, slot, kind, place)
   order by w.place
$$;
revoke execute on function
  kalam.want_advisory_lock(integer, integer, text, integer[], text[]),
  kalam.stop_wanting_advisory_lock(integer, integer, text),
  kalam.advisory_lock_holders(integer[], integer[], text[]) from public;
`
}

function functionsOf({ parameters, text }: Key, kind: (typeof kinds)[number]): string[] {
  const suffix = kind === 'shared' ? '_shared' : ''
  const takers = ends.map((end) => {
    const name = `advisory${end === 'session' ? '' : '_xact'}_lock${suffix}`
    return `
create function pg_catalog.pg_try_${name}(${parameters}) returns boolean
  language plpgsql strict as $$
begin
  return kalam.take_advisory_lock(${text}, '${kind}', '${end}', false);
end $$;
create function pg_catalog.pg_${name}(${parameters}) returns void
  language plpgsql strict as $$
begin
  perform kalam.take_advisory_lock(${text}, '${kind}', '${end}', true);
end $$;
`
  })
  const mode = kind === 'shared' ? 'ShareLock' : 'ExclusiveLock'
  return [
    ...takers,
    `
create function pg_catalog.pg_advisory_unlock${suffix}(${parameters}) returns boolean
  language plpgsql strict as $$
declare
  had boolean := kalam.give_advisory_lock_back(${text}, '${kind}');
begin
  if not had then
    raise warning 'you don''t own a lock of type ${mode}';
  end if;
  return had;
end $$;
`,
  ]
}

function unlockAll(): string {
  return `
create function pg_catalog.pg_advisory_unlock_all() returns void
  language plpgsql security definer ${path} ${heard} as $$
begin
  perform kalam.give_advisory_locks_back(kalam.session());
  raise notice 'given back' using ${told};
end $$;
`
}
