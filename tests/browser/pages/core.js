// link/core and its plain host in a page. Tests call `page`; what comes of it is shown to whoever looks.
import { compileCore, live, openCore, replay } from '/link/core/hosts/plain.mjs'
import { show } from './show.js'

const told = []
let wake = () => undefined

globalThis.page = {
  /** Plays transcripts, and gives the names of those that went as written. */
  replayAll: async (names) => {
    const module = await compiled()
    const played = []
    for (const name of names) {
      const transcript = await (await fetch(`/link/core/vectors/${name}`)).json()
      replay(module, transcript)
      show(`ok ${name}`)
      played.push(name)
    }
    return played
  },

  /** Why the module cannot be had; nothing if it can. */
  failure: async () => {
    try {
      openCore(await compiled())
      show('the core runs')
      return null
    } catch (error) {
      show(String(error))
      return error.message
    }
  },

  startLive: async (options) => {
    const module = await compiled()
    live({ ...options, module, tell })
    return null
  },

  /** The next event of that kind; those before it are dropped. */
  nextOf: async (kind) => {
    for (;;) {
      const event = told.shift()
      if (event?.kind === kind) return event
      if (event === undefined) await new Promise((resolve) => (wake = resolve))
    }
  },
}

async function compiled() {
  const bytes = await (await fetch('/link/core/kalam_core.wasm')).arrayBuffer()
  return compileCore(bytes)
}

function tell(event) {
  const { kind, text, differences, cursor } = event
  show([kind, text, differences && JSON.stringify(differences), cursor].filter(Boolean).join('  '))
  told.push(event)
  wake()
}
