import { describe, expect, test } from 'vitest'
import { isDatabase, readLoginRequest } from '#adapters/postgres/login-request.js'

const read = (parameters: Readonly<Record<string, string>>) =>
  readLoginRequest(new Map(Object.entries({ user: 'alice', ...parameters })))
const settings = (parameters: Readonly<Record<string, string>>) =>
  Object.fromEntries(read(parameters).settings)

describe('the settings of a start-up packet', () => {
  test('are all but user, database, options, replication and those of the protocol', () => {
    const given = { database: 'kalamdb', application_name: 'psql', DateStyle: 'ISO', '_pq_.x': '1' }
    expect(settings({ ...given, replication: 'off' })).toEqual({
      application_name: 'psql',
      DateStyle: 'ISO',
    })
    expect(read(given).protocolOptions).toEqual(['_pq_.x'])
  })

  test.each([
    ['-c work_mem=1MB', { work_mem: '1MB' }],
    ['-cwork_mem=1MB  -c a.b=', { work_mem: '1MB', 'a.b': '' }],
    ['--work-mem=1MB', { work_mem: '1MB' }],
    [String.raw`-c search_path=a,\ b\\c`, { search_path: String.raw`a, b\c` }],
    ['-c a=b=c', { a: 'b=c' }],
    ['', {}],
  ])('options %j', (options, expected) => {
    expect(settings({ options })).toEqual(expected)
  })

  test('that are given by name go before those of options', () => {
    expect(settings({ options: '-c TimeZone=UTC', TimeZone: 'Asia/Tokyo' })).toEqual({
      TimeZone: 'Asia/Tokyo',
    })
  })

  test.each(['-d 5', 'work_mem=1MB', '-c', '-c work_mem', '--work_mem', '-c =1'])(
    'options %j are refused',
    (options) => {
      expect(() => settings({ options })).toThrow(
        expect.objectContaining({ sqlState: '42601' }) as Error,
      )
    },
  )

  test.each(['UTF8', 'utf-8', 'unicode', 'SQL_ASCII'])('client_encoding %s is UTF8', (value) => {
    expect(settings({ client_encoding: value })).toEqual({ client_encoding: 'UTF8' })
  })

  test.each(['LATIN1', 'SJIS', ''])('client_encoding %j is refused', (value) => {
    expect(() => settings({ client_encoding: value })).toThrow(
      expect.objectContaining({ sqlState: '22023' }) as Error,
    )
    expect(() => settings({ options: `-c client_encoding=${value}` })).toThrow('client_encoding')
  })
})

test('a user is needed', () => {
  expect(() => readLoginRequest(new Map())).toThrow(
    expect.objectContaining({ sqlState: '28000' }) as Error,
  )
})

test.each(['true', 'on', 'yes', '1', 'database', 'nonsense'])(
  'no replication=%s',
  (replication) => {
    expect(() => read({ replication })).toThrow('replication')
  },
)

test.each(['false', 'off', 'no', '0', 'f'])('replication=%s is none', (replication) => {
  expect(read({ replication }).user).toBe('alice')
})

test.each([
  [undefined, true],
  ['', true],
  ['kalamdb', true],
  // What libpq asks for where nobody named one.
  ['alice', true],
  ['postgres', false],
  ['KalamDB', false],
])('database %j: %s', (database, expected) => {
  expect(isDatabase(read(database === undefined ? {} : { database }))).toBe(expected)
})
