/** Node: from 22 on it has a WebSocket; before, ours does. */
import type { Platform } from './client.js'
import { NodeSocket } from './node-socket.js'
import { platform as usual } from './platform.js'

export const platform: Platform = {
  core: usual.core,
  WebSocket: () => usual.WebSocket() ?? NodeSocket,
}
