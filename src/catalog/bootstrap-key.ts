/**
 * The key that the configuration names (`auth.bootstrap_apikey`): how the first admin of a server
 * in a container gets in.
 */
import type { QueryRunner } from '../engine/queries.js'
import { DbError } from '../errors.js'
import { digestOf, hintOf, scramVerifier } from './api-key.js'
import { checkName } from './user-names.js'

export interface BootstrapOptions {
  /** `auth.bootstrap_user`. */
  readonly name: string
  /** `auth.bootstrap_apikey`; empty for none. */
  readonly apikey: string
  /** Now, in ms since 1970. */
  readonly now: () => number
}

/**
 * Makes the key that is configured the only configured one, with its admin if need be.
 * `revoked`: somebody revoked the key since, and so it stays; say so in the log.
 * Errors: CONFIG_INVALID when the user is no admin, or the key belongs to somebody else.
 */
export async function bootstrapKey(
  queries: QueryRunner,
  { name, apikey, now }: BootstrapOptions,
): Promise<'accepted' | 'revoked' | 'none'> {
  const digest = apikey === '' ? '' : digestOf(apikey).toString('hex')
  // One that was revoked is kept, so that it stays so when it is configured again.
  await queries.query(
    `delete from kalam.apikeys
      where is_bootstrap and revoked_at is null and digest <> decode($1, 'hex')`,
    [digest],
  )
  if (apikey === '') return 'none'
  const seconds = String(now() / 1000)
  const salt = await ensureAdmin(queries, { name, seconds })
  await queries.query(insertKey, [
    ...[name, seconds, digest, await scramVerifier(apikey, salt), hintOf(apikey)],
  ])
  return checkKey(queries, { name, digest })
}

/** Answers the user's salt. */
async function ensureAdmin(
  queries: QueryRunner,
  { name, seconds }: { readonly name: string; readonly seconds: string },
): Promise<Uint8Array> {
  checkName(name)
  await queries.query(insertAdmin, [name, seconds])
  const { rows } = await queries.query(
    `select role, encode(salt, 'hex') from kalam.users where name = $1 and dropped_at is null`,
    [name],
  )
  const [role, salt] = rows[0] ?? []
  if (role === 'admin') return Buffer.from(salt ?? '', 'hex')
  throw new DbError('CONFIG_INVALID', `auth.bootstrap_user: '${name}' is there but is no admin`)
}

async function checkKey(
  queries: QueryRunner,
  { name, digest }: { readonly name: string; readonly digest: string },
): Promise<'accepted' | 'revoked'> {
  const { rows } = await queries.query(
    `select u.name, k.revoked_at is not null
       from kalam.apikeys k join kalam.users u on u.user_id = k.user_id
      where k.digest = decode($1, 'hex')`,
    [digest],
  )
  const [owner, isRevoked] = rows[0] ?? []
  if (owner !== name) {
    throw new DbError('CONFIG_INVALID', `auth.bootstrap_apikey: the key is not one of '${name}'`)
  }
  return isRevoked === 't' ? 'revoked' : 'accepted'
}

const insertAdmin = `
  insert into kalam.users (user_id, name, role, salt, created_at)
  values (gen_random_uuid()::text, $1, 'admin',
          decode(replace(gen_random_uuid()::text, '-', ''), 'hex'), to_timestamp($2::float8))
  on conflict (name) where dropped_at is null do nothing`

const insertKey = `
  insert into kalam.apikeys
    (id, user_id, is_bootstrap, created_at, read_only, digest, scram_verifier, hint)
  select gen_random_uuid()::text, user_id, true, to_timestamp($2::float8), false,
         decode($3, 'hex'), $4, $5
    from kalam.users where name = $1 and dropped_at is null
  on conflict (digest) do nothing`
