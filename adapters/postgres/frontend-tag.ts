import { CommandCode } from 'pg-server/protocol/commands.js'

/** First byte of each message that a client may send: pg-server's codes, and one that it lacks. */
export const frontendTag: Readonly<Record<TagName, number>> = Object.freeze({
  query: CommandCode.query,
  parse: CommandCode.parse,
  bind: CommandCode.bind,
  describe: CommandCode.describe,
  execute: CommandCode.execute,
  close: CommandCode.close,
  sync: CommandCode.sync,
  flush: CommandCode.flush,
  copyData: CommandCode.copyFromChunk,
  copyDone: CommandCode.copyDone,
  copyFail: CommandCode.copyFail,
  terminate: CommandCode.end,
  /** A password, or an answer of SASL. */
  proof: CommandCode.startup,
  functionCall: 0x46,
})

type TagName =
  | ('query' | 'parse' | 'bind' | 'describe' | 'execute' | 'close' | 'sync' | 'flush')
  | ('copyData' | 'copyDone' | 'copyFail' | 'terminate' | 'proof' | 'functionCall')
