import { expect, test } from 'vitest'
import { ColumnTypes } from '#src/database/column-types.js'

/** Of a list of an enum, as the catalog tells it. */
const answer = ['mood[]', 't', ',', '16500', 'mood']

function runner(meanwhile: () => void) {
  const query = (): Promise<{
    columns: []
    rows: string[][]
    command: string
    rowCount: number
  }> => {
    meanwhile()
    return Promise.resolve({ columns: [], rows: [answer], command: 'SELECT', rowCount: 1 })
  }
  return { query }
}

test('a type is known to who asked for it, though all are forgotten meanwhile', async () => {
  const types = new ColumnTypes()
  const columns = [{ name: 'm', typeOid: 16_501 }]
  const [column] = await types.resolve(
    columns,
    runner(() => types.forget()),
  )
  expect(column?.type).toMatchObject({ name: 'mood[]', encoding: 'array' })
  // It may be another one by now.
  expect(types.known(columns)).toBeUndefined()
  await types.resolve(
    columns,
    runner(() => undefined),
  )
  expect(types.known(columns)).toMatchObject([{ name: 'm', type: { name: 'mood[]' } }])
})
