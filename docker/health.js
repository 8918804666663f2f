// Whether the server of this container takes requests: it ends with 0 if so. Asks where the settings
// say that it listens, so that it follows KALAMDB_SERVER_PORT, TLS and a mounted config.toml.
import http from 'node:http'
import https from 'node:https'
import { loadConfig } from '../dist/src/config/load-config.js'

const { server } = loadConfig({ env: process.env }).config
const everywhere = { '0.0.0.0': '127.0.0.1', '::': '::1' }
const options = {
  host: everywhere[server.host] ?? server.host,
  port: server.port,
  path: '/ready',
  // The certificate is for those who come by the server's name.
  rejectUnauthorized: false,
}

const { get } = server.tls_cert === '' ? http : https
get(options, ({ statusCode }) => end(`/ready answers ${statusCode}`, statusCode === 200)).on(
  'error',
  ({ message }) => end(message, false),
)

function end(message, isWell) {
  console.log(message)
  process.exit(isWell ? 0 : 1)
}
