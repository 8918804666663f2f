// Runs plain.mjs in Node:
//
//   node node.mjs                      plays the transcripts in ../vectors
//   node node.mjs URL API_KEY SQL      runs a live query and prints what it tells, until Ctrl-C
import { readFileSync, readdirSync } from 'node:fs'
import { compileCore, live, replay, written } from './plain.mjs'

const vectors = new URL('../vectors/', import.meta.url)
const module = await compileCore(readFileSync(new URL('../kalam_core.wasm', import.meta.url)))
const [url, apiKey = '', sql = ''] = process.argv.slice(2)
if (url === undefined) replayAll()
else await printLive()

function replayAll() {
  for (const name of readdirSync(vectors).filter((file) => file.endsWith('.json'))) {
    replay(module, JSON.parse(readFileSync(new URL(name, vectors), 'utf8')))
    console.log(`ok ${name}`)
  }
}

async function printLive() {
  // Node has its own from version 22 on.
  const WebSocket = globalThis.WebSocket ?? (await import('ws')).WebSocket
  const tell = (event) => console.log(JSON.stringify(written(event)))
  process.once('SIGINT', live({ module, url, apiKey, sql, tell, WebSocket }))
}
