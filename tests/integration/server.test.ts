import { expect, test } from 'vitest'
import { openTestServer } from '../support/server.js'

test('a fresh server answers SQL for root and for a user it makes', async () => {
  await using server = await openTestServer()
  const key = await server.createUser('alice')
  await server.sql('CREATE TABLE notes (id int PRIMARY KEY, body text); GRANT ALL ON notes TO user')
  await server.sql('INSERT INTO notes VALUES ($1, $2)', { key, params: [1, 'milk'] })
  const { rows } = await server.sql('SELECT *, kalam.uid() IS NOT NULL AS known FROM notes', {
    key,
  })
  expect(rows).toEqual([{ id: 1, body: 'milk', known: true }])
})
