/**
 * The server's log: pino behind a small interface of ours. Keys never reach it, whatever a
 * message or a field holds; SQL parameters are not to be given to it in the first place.
 */
import { pino, stdTimeFunctions, type Logger } from 'pino'
import type { Config } from '../config/settings.js'
import { textLine } from './text-line.js'

export type LogFields = Readonly<Record<string, unknown>>

/** Says what happens. `fields.error` may be anything that was thrown; its stack is kept. */
export interface Log {
  trace(message: string, fields?: LogFields): void
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  /** The server is about to end. */
  fatal(message: string, fields?: LogFields): void
  /** A log that adds these fields to every message. */
  child(fields: LogFields): Log
}

/** Where lines go: standard output, or a test's list. */
export interface LogTarget {
  readonly isTTY?: boolean | undefined
  write(line: string): unknown
}

/** Opens the log. Nothing needs closing: lines are handed to the target at once. */
export function createLog(settings: Config['log'], target: LogTarget = process.stdout): Log {
  const isText = settings.format === 'text' || (settings.format === 'auto' && target.isTTY === true)
  const logger = pino(
    {
      level: settings.level,
      base: null,
      messageKey: 'message',
      errorKey: 'error',
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
      redact: { paths: secretPaths, censor: mask },
      hooks: { streamWrite: maskKeys },
    },
    { write: (line: string) => void target.write(isText ? textLine(line) : line) },
  )
  return wrap(logger)
}

const mask = '••••'

/** Fields that hold secrets, at the top and one below. */
const secretNames = [
  'apikey',
  'api_key',
  'authorization',
  'password',
  'token',
  'params',
  'parameters',
]
const secretPaths = secretNames.flatMap((name) => [name, `*.${name}`])

/** A key that slipped into a message or an error's text: the second wall. */
function maskKeys(line: string): string {
  return line.replaceAll(/kal_[A-Za-z0-9_-]{43}/g, `kal_${mask}`)
}

function wrap(logger: Logger): Log {
  return {
    trace: (message, fields) => logger.trace(fields, message),
    debug: (message, fields) => logger.debug(fields, message),
    info: (message, fields) => logger.info(fields, message),
    warn: (message, fields) => logger.warn(fields, message),
    error: (message, fields) => logger.error(fields, message),
    fatal: (message, fields) => logger.fatal(fields, message),
    child: (fields) => wrap(logger.child(fields)),
  }
}
