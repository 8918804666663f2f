// The SDK's ESM build in a page, as an app without a bundler has it. Tests call `page`; what comes of it is shown.
import { createClient } from '/link/sdks/typescript/dist/index.js'
import { show } from './show.js'

let client
let live

globalThis.page = {
  /** Gives the error that createClient throws; nothing if there is none. */
  create: (options) =>
    outcomeOf(() => {
      client = createClient(options)
      client.connection.subscribe(({ status, error }) =>
        show(error === undefined ? status : `${status}: ${error.code}: ${error.message}`),
      )
    }),

  /** Waits until the connection is in that state, and gives it. */
  reached: async (status) => {
    for await (const state of client.connection)
      if (state.status === status) return { ...state, error: state.error?.details }
  },

  connected: () => outcomeOf(() => client.connected()),

  run: ({ statements, options }) => outcomeOf(() => client.batch(statements, options)),

  /** Cases one after the other, with what each gives. */
  runAll: async (cases) => {
    const outcomes = []
    for (const asked of cases) {
      const outcome = await globalThis.page.run(asked)
      show(`${asked.name}: ${outcome.error?.code ?? 'ok'}`)
      outcomes.push(outcome)
    }
    return outcomes
  },

  /** Follows a query, and gives its rows. */
  watch: async (sql, params) => {
    live = client.live(sql, params)
    live.subscribe((rows) => show(JSON.stringify(rows)))
    await live.ready()
    return live.rows
  },

  /** Waits until the query that is followed has just these rows, as JSON. */
  has: async (expected) => {
    for await (const rows of live) if (JSON.stringify(rows) === expected) return live.status
  },

  liveStatus: () => live.status,

  close: () => client.close(),
}

async function outcomeOf(work) {
  try {
    return { results: (await work()) ?? null }
  } catch (error) {
    if (error.name !== 'KalamError') throw error
    show(`${error.code}: ${error.message}`)
    return { error: { ...error.details, outcome: error.outcome } }
  }
}
