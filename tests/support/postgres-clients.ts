/** Where the clients of PostgreSQL are on this machine, or why there are none. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** Of Debian 12: the oldest that the tests run. */
const debianFolder = '/usr/lib/postgresql/15/bin'

/** PostgreSQL 18's psql, pg_dump and pg_restore; .ci/postgres-clients fetches them. */
const newFolder = process.env['KALAM_TEST_POSTGRES_CLIENTS'] ?? ''

const jdbcJar = '/usr/share/java/postgresql.jar'

export const clients = {
  psql15: join(debianFolder, 'psql'),
  pgbench: join(debianFolder, 'pgbench'),
  psql18: join(newFolder, 'psql'),
  pgDump: join(newFolder, 'pg_dump'),
  pgRestore: join(newFolder, 'pg_restore'),
  // Debian's own: another python3 on PATH has other packages.
  python: '/usr/bin/python3',
  psycopg2: '/usr/lib/python3/dist-packages/psycopg2',
  psycopg3: '/usr/lib/python3/dist-packages/psycopg',
  asyncpg: '/usr/lib/python3/dist-packages/asyncpg',
  java: '/usr/bin/java',
  jdbcJar,
} as const

type ClientName = keyof typeof clients

const packages: Readonly<Record<ClientName, string>> = {
  psql15: 'postgresql-client-15',
  pgbench: 'postgresql-15',
  psql18: 'KALAM_TEST_POSTGRES_CLIENTS',
  pgDump: 'KALAM_TEST_POSTGRES_CLIENTS',
  pgRestore: 'KALAM_TEST_POSTGRES_CLIENTS',
  python: 'python3',
  psycopg2: 'python3-psycopg2',
  psycopg3: 'python3-psycopg',
  asyncpg: 'python3-asyncpg',
  java: 'default-jre-headless',
  jdbcJar: 'libpostgresql-jdbc-java',
}

/**
 * Whether the tests with these clients are skipped; says so in one line. With `CI` set a missing
 * one is not excused: the tests then run and fail.
 */
export function isMissing(...names: readonly ClientName[]): boolean {
  const missing = names.filter((name) => !existsSync(clients[name]))
  if (missing.length === 0 || process.env['CI'] !== undefined) return false
  const wanted = missing.map((name) => `${name} (${packages[name]})`).join(', ')
  console.log(`skipped, clients over the Postgres wire: no ${wanted} on this machine`)
  return true
}
