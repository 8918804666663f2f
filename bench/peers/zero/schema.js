// What zero-deploy-permissions and the client read.
import { ANYONE_CAN, createSchema, definePermissions, number, string, table } from '@rocicorp/zero'

const todo = table('todo')
  .columns({ id: number(), owner: string(), n: number(), title: string() })
  .primaryKey('id')

export const schema = createSchema({
  tables: [todo],
  relationships: [],
  // Queries made up by the client, as everywhere else in this bench.
  enableLegacyQueries: true,
})

export const permissions = definePermissions(schema, () => ({
  todo: { row: { select: ANYONE_CAN } },
}))
