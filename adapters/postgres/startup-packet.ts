/** The packets that open a connection, before any message has a tag (PostgreSQL docs, 54.2.1). */
import { DbError } from '../../src/errors.js'

export type StartupPacket =
  | { readonly kind: 'ssl' }
  | { readonly kind: 'gss' }
  | { readonly kind: 'cancel'; readonly processId: number; readonly secret: Uint8Array }
  | {
      readonly kind: 'startup'
      /** Of the protocol: 3.`minor`. */
      readonly minor: number
      readonly parameters: ReadonlyMap<string, string>
    }

/** Codes in the place of a version (pqcomm.h). */
const cancelCode = 80877102
const sslCode = 80877103
const gssCode = 80877104

/** PostgreSQL's MAX_STARTUP_PACKET_LENGTH. */
export const startupBytesMax = 10_000

/** `body` is what follows the length. Errors: BAD_REQUEST; STATEMENT_REFUSED for another protocol. */
export function readStartupPacket(body: Buffer): StartupPacket {
  const code = body.readUInt32BE(0)
  switch (code) {
    case sslCode:
      return { kind: 'ssl' }
    case gssCode:
      return { kind: 'gss' }
    case cancelCode:
      return readCancel(body)
    default:
      return readStartup(body, { major: code >>> 16, minor: code & 0xffff })
  }
}

function readCancel(body: Buffer): StartupPacket {
  if (body.length <= cancelHeadBytes || body.length > cancelHeadBytes + cancelSecretBytesMax)
    throw new DbError('BAD_REQUEST', 'invalid length of a cancel request')
  return {
    kind: 'cancel',
    processId: body.readInt32BE(4),
    secret: body.subarray(cancelHeadBytes),
  }
}

/** Code and process. */
const cancelHeadBytes = 8
/** Protocol 3.2. */
const cancelSecretBytesMax = 256

function readStartup(
  body: Buffer,
  { major, minor }: { readonly major: number; readonly minor: number },
): StartupPacket {
  if (major !== 3)
    throw new DbError(
      'STATEMENT_REFUSED',
      `unsupported frontend protocol ${major}.${minor}: server supports 3.0 to 3.2`,
    )
  return { kind: 'startup', minor, parameters: readParameters(body.subarray(4)) }
}

/** Names and values, each ended by NUL; a NUL in the place of a name ends it all. */
function readParameters(bytes: Buffer): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>()
  for (let at = 0; at < bytes.length;) {
    const nameEnd = bytes.indexOf(0, at)
    if (nameEnd === at && at === bytes.length - 1) return parameters
    const valueEnd = nameEnd <= at ? -1 : bytes.indexOf(0, nameEnd + 1)
    if (valueEnd === -1) break
    parameters.set(
      bytes.toString('utf8', at, nameEnd),
      bytes.toString('utf8', nameEnd + 1, valueEnd),
    )
    at = valueEnd + 1
  }
  throw new DbError(
    'BAD_REQUEST',
    'invalid startup packet layout: expected terminator as last byte',
  )
}
