// Zero's clients for the live bench: one client holds all live queries, its best case.
// node client.js <port of zero-cache> <port of PostgreSQL>
import { Zero } from '@rocicorp/zero'
import pg from 'pg'
import { serveLive } from '../../../dist/bench/live/live-process.js'
import { insertSql, querySql, windowRows } from '../../../dist/bench/live/live-system.js'
import { schema } from './schema.js'

const [cachePort, postgresPort] = process.argv.slice(2).map(Number)
const reach = { host: '127.0.0.1', port: postgresPort, user: 'postgres', database: 'postgres' }
const pool = new pg.Pool({ ...reach, max: 16 })
const zero = new Zero({
  cacheURL: `http://127.0.0.1:${cachePort}`,
  userID: 'bench',
  schema,
  kvStore: 'mem',
  logLevel: 'error',
})
const views = new Map()

serveLive({
  subscribe: ({ form, owners, see }) =>
    Promise.all(owners.map((owner) => subscribe(form, owner, see))),
  insert: ({ id, owner, title }) =>
    pool.query({ name: 'insert', text: insertSql, values: [id, owner, title] }),
  held: (owner) => views.get(owner).data.map(({ id }) => id),
  stored: async (owner, form) => {
    const { rows } = await pool.query(querySql[form], [owner])
    return rows.map(({ id }) => id)
  },
  unsubscribe: async () => {
    for (const view of views.values()) view.destroy()
    views.clear()
  },
  close: async () => {
    await zero.close()
    await pool.end()
  },
})

function subscribe(form, owner, see) {
  const matching = zero.query.todo.where('owner', '=', owner)
  const query = form === 'follow' ? matching : matching.orderBy('n', 'desc').limit(windowRows)
  return new Promise((resolve) => {
    const view = query.materialize('none')
    views.set(owner, view)
    view.addListener((rows, type) => {
      rows.forEach(see)
      if (type === 'complete') resolve()
    })
  })
}
