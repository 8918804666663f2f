/**
 * Users and their keys. Every change is one statement, so that it happens wholly or not at all,
 * and is announced to those who remember users and keys.
 */
import { createHmac } from 'node:crypto'
import type { Role } from '../dialect/roles.js'
import type { QueryRunner } from '../engine/queries.js'
import { DbError, assert } from '../errors.js'
import {
  digestOf,
  hintOf,
  randomKey,
  saltBytes,
  scramKeysOf,
  scramVerifier,
  type RandomBytes,
  type ScramKeys,
} from './api-key.js'
import { checkName } from './user-names.js'

/** The built-in admin. It has no key of its own until it is given one. */
export const rootUserId = 'root'

export interface User {
  readonly userId: string
  readonly name: string
  readonly role: Role
}

/** A user and what the engine must know to act for them. */
export interface KnownUser extends User {
  /** OID of the PostgreSQL role that carries their rights. */
  readonly roleOid: number
}

/** A key found by its digest: neither revoked nor of a dropped user. It may have expired. */
export interface KnownKey {
  readonly keyId: string
  readonly readOnly: boolean
  /** When it stops being accepted, in ms since 1970; Infinity for never. */
  readonly expiresAtMs: number
  readonly user: KnownUser
}

/** What the owner of one of a name's keys can be told by, without the key (RFC 5802). */
export interface UserSecrets {
  /** Of the user, or one made up for a name that nobody has: the same each time. */
  readonly salt: Uint8Array
  /** Undefined for a name that nobody has. */
  readonly userId: string | undefined
  /** Of every key that was not revoked; it may have expired. */
  readonly keys: readonly KeySecrets[]
}

export interface KeySecrets extends ScramKeys {
  readonly keyId: string
}

/** A key as it is shown once, when it is made. */
export interface NewKey {
  readonly keyId: string
  readonly userId: string
  readonly name: string
  readonly apikey: string
  readonly readOnly: boolean
  /** PostgreSQL's text of a timestamptz. */
  readonly expiresAt: string | null
}

/** A user together with a new key; null where none was made. */
export interface UserAndKey extends User {
  readonly apikey: string | null
}

/** What is announced of a change. */
export type UsersChange =
  /** A user or a key more. */
  | { readonly kind: 'added' }
  | { readonly kind: 'key-revoked'; readonly userId: string; readonly keyId: string }
  /** All keys of the user. */
  | { readonly kind: 'keys-revoked'; readonly userId: string }
  | { readonly kind: 'user-dropped'; readonly userId: string }
  | { readonly kind: 'role-changed'; readonly userId: string }
  /** They may have a PostgreSQL role of their own now. */
  | { readonly kind: 'rights-changed'; readonly userId: string }

export interface UsersOptions {
  readonly random: RandomBytes
  /** Now, in ms since 1970. */
  readonly now: () => number
}

/** Makes, changes and finds users and keys. It holds nothing; there is nothing to close. */
export class Users {
  readonly #queries: QueryRunner
  readonly #options: UsersOptions
  readonly #listeners: ((change: UsersChange) => void)[]

  constructor(
    queries: QueryRunner,
    options: UsersOptions,
    listeners: ((change: UsersChange) => void)[] = [],
  ) {
    this.#queries = queries
    this.#options = options
    this.#listeners = listeners
  }

  /** The same users through a session that has the engine; each statement must commit by itself. */
  within(runner: QueryRunner): Users {
    return new Users(runner, this.#options, this.#listeners)
  }

  /** Calls back after each change, before its statement is answered. */
  onChange(listener: (change: UsersChange) => void): void {
    this.#listeners.push(listener)
  }

  /**
   * Makes a user with a first key. With `ifNotExists` an existing user is answered as it is,
   * without a key. Errors: ALREADY_EXISTS, QUERY_REJECTED (name).
   */
  async createUser(options: CreateUserOptions): Promise<UserAndKey> {
    const { name, role, ifNotExists } = options
    checkName(name)
    const key = await this.#makeKey(this.#options.random(saltBytes))
    const { rows } = await this.#queries.query(insertUser, [
      ...[name, role, hex(key.salt), this.#seconds()],
      ...[hex(key.digest), key.verifier, hintOf(key.apikey)],
    ])
    const userId = rows[0]?.[0]
    if (typeof userId === 'string') {
      this.#announce({ kind: 'added' })
      return { userId, name, role, apikey: key.apikey }
    }
    if (!ifNotExists) throw new DbError('ALREADY_EXISTS', `user '${name}' exists already`)
    return { ...(await this.#mustFind(name)), apikey: null }
  }

  /** Answers the dropped user; undefined with `ifExists`. Errors: NOT_FOUND, FORBIDDEN (root). */
  async dropUser(name: string, options: { readonly ifExists: boolean }): Promise<User | undefined> {
    const user = await this.findByName(name)
    if (user === undefined && options.ifExists) return undefined
    if (user === undefined) throw noUser(name)
    if (user.userId === rootUserId) throw new DbError('FORBIDDEN', 'root cannot be dropped')
    await this.#queries.query('select kalam.drop_user($1, to_timestamp($2::float8))', [
      user.userId,
      this.#seconds(),
    ])
    this.#announce({ kind: 'user-dropped', userId: user.userId })
    return user
  }

  /** Errors: NOT_FOUND, FORBIDDEN (root stays admin). */
  async setRole(name: string, role: Role): Promise<User> {
    const user = await this.#mustFind(name)
    if (user.userId === rootUserId && role !== 'admin') {
      throw new DbError('FORBIDDEN', 'root is always an admin')
    }
    await this.#queries.query('select kalam.set_user_role($1, $2)', [user.userId, role])
    this.#announce({ kind: 'role-changed', userId: user.userId })
    return { ...user, role }
  }

  /** Revokes all keys of the user and makes a new one. Errors: NOT_FOUND. */
  async rotateKey(name: string): Promise<UserAndKey> {
    const user = await this.#mustFind(name)
    const key = await this.#makeKey(await this.#saltOf(user))
    const { rows } = await this.#queries.query(replaceKeys, [
      ...[user.userId, this.#seconds(), hex(key.digest), key.verifier, hintOf(key.apikey)],
    ])
    if (rows.length === 0) throw noUser(name)
    this.#announce({ kind: 'keys-revoked', userId: user.userId })
    return { ...user, apikey: key.apikey }
  }

  /** Makes one more key. Errors: NOT_FOUND, QUERY_REJECTED (`expires` is no interval after now). */
  async createKey(options: CreateKeyOptions): Promise<NewKey> {
    const { name, expires = null, readOnly } = options
    const user = await this.#mustFind(name)
    await this.#checkExpires(expires)
    const key = await this.#makeKey(await this.#saltOf(user))
    const { rows } = await this.#queries.query(insertKey, [
      ...[user.userId, this.#seconds(), expires, readOnly ? 't' : 'f'],
      ...[hex(key.digest), key.verifier, hintOf(key.apikey)],
    ])
    const [keyId, expiresAt = null] = rows[0] ?? []
    if (typeof keyId !== 'string') throw noUser(name)
    this.#announce({ kind: 'added' })
    return { keyId, userId: user.userId, name, apikey: key.apikey, readOnly, expiresAt }
  }

  /** Revokes a key for good; one that is revoked already stays so. Errors: NOT_FOUND. */
  async revokeKey(keyId: string): Promise<{ readonly keyId: string } & Omit<User, 'role'>> {
    const { rows } = await this.#queries.query(revokeKey, [keyId, this.#seconds()])
    const [userId, name] = rows[0] ?? []
    if (typeof userId !== 'string' || typeof name !== 'string') {
      throw new DbError('NOT_FOUND', `there is no key with the id '${keyId}'`, {
        hint: 'SHOW APIKEYS lists the ids.',
      })
    }
    this.#announce({ kind: 'key-revoked', userId, keyId })
    return { keyId, userId, name }
  }

  /**
   * Name of the PostgreSQL role of that user alone, for a GRANT that names them; made at first
   * need. Errors: NOT_FOUND.
   */
  async roleOfUser(name: string): Promise<string> {
    const user = await this.#mustFind(name)
    const { rows } = await this.#queries.query('select kalam.ensure_user_role($1)', [user.userId])
    const role = rows[0]?.[0]
    if (typeof role !== 'string') throw noUser(name)
    this.#announce({ kind: 'rights-changed', userId: user.userId })
    return role
  }

  /** The key with this SHA-256 digest, unless it was revoked. */
  async findByDigest(digest: Uint8Array): Promise<KnownKey | undefined> {
    const { rows } = await this.#queries.query(selectKey, [hex(digest)])
    return rows[0] && toKey(rows[0])
  }

  /** The key with this id, unless it was revoked. */
  async findByKeyId(keyId: string): Promise<KnownKey | undefined> {
    const { rows } = await this.#queries.query(selectKeyById, [keyId])
    return rows[0] && toKey(rows[0])
  }

  /** The same work whether the name is somebody's or not, so that its time does not tell. */
  async secretsOf(name: string): Promise<UserSecrets> {
    // PostgreSQL's text has no NUL, so no user has one in their name.
    const { rows } = await this.#queries.query(selectSecrets, [name.replaceAll('\0', '')])
    const [userId = null, salt = null, secret = null] = rows[0] ?? []
    assert(secret !== null, 'the secret of salts is there')
    const madeUp = madeUpSalt(secret, name)
    if (userId === null || salt === null || name.includes('\0'))
      return { salt: madeUp, userId: undefined, keys: [] }
    const keys = rows.flatMap(([, , , keyId, verifier]) =>
      typeof keyId === 'string' && typeof verifier === 'string'
        ? [{ keyId, ...scramKeysOf(verifier) }]
        : [],
    )
    return { salt: Buffer.from(salt, 'hex'), userId, keys }
  }

  async findByName(name: string): Promise<KnownUser | undefined> {
    // PostgreSQL's text has no NUL, so no user has one in their name.
    if (name.includes('\0')) return undefined
    const { rows } = await this.#queries.query(selectUser, [name])
    return rows[0] && toUser(rows[0])
  }

  async #mustFind(name: string): Promise<KnownUser> {
    const user = await this.findByName(name)
    if (user === undefined) throw noUser(name)
    return user
  }

  async #saltOf({ userId, name }: User): Promise<Uint8Array> {
    const { rows } = await this.#queries.query(
      `select encode(salt, 'hex') from kalam.users where user_id = $1 and dropped_at is null`,
      [userId],
    )
    const salt = rows[0]?.[0]
    if (typeof salt !== 'string') throw noUser(name)
    return Buffer.from(salt, 'hex')
  }

  async #checkExpires(expires: string | null): Promise<void> {
    if (expires === null) return
    const { rows } = await this.#queries.query(
      `select now() + $1::interval > now() and $1::interval > interval '0'`,
      [expires],
    )
    if (rows[0]?.[0] === 't') return
    throw new DbError('QUERY_REJECTED', `a key cannot expire after '${expires}'`, {
      sqlState: '22023',
      hint: "Give a time above zero, such as '30 days'.",
    })
  }

  async #makeKey(salt: Uint8Array) {
    const apikey = randomKey(this.#options.random)
    const verifier = await scramVerifier(apikey, salt)
    return { apikey, salt, verifier, digest: digestOf(apikey) }
  }

  #announce(change: UsersChange): void {
    for (const listener of this.#listeners) listener(change)
  }

  /** Now, as to_timestamp takes it. */
  #seconds(): string {
    return String(this.#options.now() / 1000)
  }
}

export interface CreateUserOptions {
  readonly name: string
  readonly role: Role
  readonly ifNotExists: boolean
}

export interface CreateKeyOptions {
  readonly name: string
  /** A PostgreSQL interval from now on; null for never. */
  readonly expires?: string | null | undefined
  readonly readOnly: boolean
}

const insertUser = `
  with u as (
    insert into kalam.users (user_id, name, role, salt, created_at)
    values (gen_random_uuid()::text, $1, $2, decode($3, 'hex'), to_timestamp($4::float8))
    on conflict (name) where dropped_at is null do nothing
    returning user_id, created_at)
  insert into kalam.apikeys
    (id, user_id, digest, scram_verifier, hint, read_only, created_at)
  select gen_random_uuid()::text, user_id, decode($5, 'hex'), $6, $7, false, created_at from u
  returning user_id`

const insertKey = `
  insert into kalam.apikeys
    (id, user_id, created_at, expires_at, read_only, digest, scram_verifier, hint)
  select gen_random_uuid()::text, user_id, to_timestamp($2::float8),
         to_timestamp($2::float8) + $3::interval, $4::boolean, decode($5, 'hex'), $6, $7
    from kalam.users where user_id = $1 and dropped_at is null
  returning id, expires_at`

const replaceKeys = `
  with revoked as (
    update kalam.apikeys set revoked_at = to_timestamp($2::float8)
     where user_id = $1 and revoked_at is null)
  insert into kalam.apikeys
    (id, user_id, created_at, read_only, digest, scram_verifier, hint)
  select gen_random_uuid()::text, user_id, to_timestamp($2::float8), false,
         decode($3, 'hex'), $4, $5
    from kalam.users where user_id = $1 and dropped_at is null
  returning id`

const revokeKey = `
  update kalam.apikeys k
     set revoked_at = coalesce(k.revoked_at, to_timestamp($2::float8))
    from kalam.users u
   where k.id = $1 and u.user_id = k.user_id
  returning u.user_id, u.name`

/** Admins run as one role, whatever a GRANT named them for. */
const userColumns = `u.user_id, u.name, u.role,
  (select a.oid from pg_catalog.pg_authid a
    where a.rolname = case when u.role = 'admin' then 'kalam_admin' else coalesce(
      (select r.role_name from kalam.user_roles r where r.user_id = u.user_id),
      ('kalam_' || u.role)::name) end)`

const selectUser = `
  select ${userColumns} from kalam.users u where u.name = $1 and u.dropped_at is null`

const selectKeys = `
  select k.id, k.read_only, extract(epoch from k.expires_at), ${userColumns}
    from kalam.apikeys k join kalam.users u on u.user_id = k.user_id
   where k.revoked_at is null and u.dropped_at is null`

const selectKey = `${selectKeys} and k.digest = decode($1, 'hex')`

const selectKeyById = `${selectKeys} and k.id = $1`

/** One row at least, with the secret that salts are made up from. */
const selectSecrets = `
  select u.user_id, encode(u.salt, 'hex'), encode(s.value, 'hex'), k.id, k.scram_verifier
    from kalam.salt_secret s
    left join kalam.users u on u.name = $1 and u.dropped_at is null
    left join kalam.apikeys k on k.user_id = u.user_id and k.revoked_at is null`

function madeUpSalt(secretHex: string, name: string): Uint8Array {
  const secret = Buffer.from(secretHex, 'hex')
  return createHmac('sha256', secret).update(name).digest().subarray(0, saltBytes)
}

function toKey([keyId, readOnly, expiresAtS, ...user]: readonly (string | null)[]): KnownKey {
  assert(typeof keyId === 'string' && expiresAtS !== undefined, 'a key has an id')
  const expiresAtMs = expiresAtS === null ? Infinity : Number(expiresAtS) * 1000
  return { keyId, readOnly: readOnly === 't', expiresAtMs, user: toUser(user) }
}

function toUser([userId, name, role, roleOid]: readonly (string | null)[]): KnownUser {
  assert(typeof userId === 'string' && typeof name === 'string', 'a user has an id and a name')
  assert(role === 'user' || role === 'service' || role === 'admin', 'a user has a role')
  assert(typeof roleOid === 'string', `the PostgreSQL role of ${userId} is there`)
  return { userId, name, role, roleOid: Number(roleOid) }
}

function noUser(name: string): DbError {
  return new DbError('NOT_FOUND', `there is no user '${name}'`, {
    hint: `CREATE USER '${name.replaceAll("'", "''")}' makes one.`,
  })
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
