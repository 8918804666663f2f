/**
 * The messages that the door alone says; those of statements, and errors, are written as the session
 * writes them. pg-server has the words of a greeting; what it has not (SASL, protocol 3.2) pg-protocol's
 * Writer frames.
 */
import { Writer } from 'pg-protocol/dist/buffer-writer.js'
import { ResponseWriter } from 'pg-server/protocol/response-writer.js'
import { ResponseCode } from 'pg-server/protocol/responses.js'
import type { Socket } from 'node:net'
import { readyForQuery } from '../../src/database/wire/server-messages.js'

export interface Greeting {
  /** ParameterStatus, each. */
  readonly parameters: ReadonlyMap<string, string>
  readonly processId: number
  /** 4 bytes, or more from protocol 3.2 on. */
  readonly secret: Uint8Array
}

/** All that a client hears once it is in. */
export function greeting({ parameters, processId, secret }: Greeting): Buffer {
  const key = new Writer().addInt32(processId).add(Buffer.from(secret))
  return Buffer.concat([
    written((writer) => {
      writer.authenticationOk()
      for (const [name, value] of parameters) writer.parameterStatus(name, value)
    }),
    key.flush(ResponseCode.BackendKeyData),
    readyForQuery('I'),
  ])
}

/** pg-server writes each message to a socket by itself; here they become one write. */
function written(write: (writer: ResponseWriter) => void): Buffer {
  const parts: Buffer[] = []
  const collector = { write: (bytes: Buffer) => parts.push(bytes) }
  // `write` is all that it calls of a socket (0.1.8, response-writer.js).
  write(new ResponseWriter(collector as unknown as Socket))
  return Buffer.concat(parts)
}

/** Kinds of AuthenticationRequest. */
const saslStart = 10
const saslContinue = 11
const saslFinal = 12

export function authenticationSasl(mechanisms: readonly string[]): Buffer {
  const writer = new Writer().addInt32(saslStart)
  for (const mechanism of mechanisms) writer.addCString(mechanism)
  return writer.addCString('').flush(ResponseCode.AuthenticationResponse)
}

export function authenticationSaslContinue(text: string): Buffer {
  return new Writer()
    .addInt32(saslContinue)
    .addString(text)
    .flush(ResponseCode.AuthenticationResponse)
}

export function authenticationSaslFinal(text: string): Buffer {
  return new Writer().addInt32(saslFinal).addString(text).flush(ResponseCode.AuthenticationResponse)
}

/** `v`, which pg-server has no name for. */
const negotiateTag = 0x76

/** What is spoken in place of what was asked for. */
export function negotiateProtocolVersion(minor: number, unknownOptions: readonly string[]): Buffer {
  const writer = new Writer().addInt32((3 << 16) | minor).addInt32(unknownOptions.length)
  for (const option of unknownOptions) writer.addCString(option)
  return writer.flush(negotiateTag)
}
