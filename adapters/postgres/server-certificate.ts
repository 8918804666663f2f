/** TLS of the wire: the certificate, and its hash that SCRAM binds a login to. */
import { X509Certificate, createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext, type SecureContext } from 'node:tls'
import type { Config } from '../../src/config/settings.js'
import { DbError } from '../../src/errors.js'

export interface ServerCertificate {
  readonly context: SecureContext
  /** For the channel binding tls-server-end-point; undefined if its signature names no hash. */
  readonly hash: Uint8Array | undefined
}

/** Undefined if there is to be no TLS. Errors: CONFIG_INVALID. */
export function readServerCertificate({
  server,
  postgres_wire: wire,
}: Config): ServerCertificate | undefined {
  const files = wire.tls_cert === '' ? server : wire
  if (files.tls_cert === '') return undefined
  try {
    const cert = readFileSync(files.tls_cert)
    const context = createSecureContext({ cert, key: readFileSync(files.tls_key) })
    return { context, hash: endPointHash(new X509Certificate(cert).raw) }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new DbError(
      'CONFIG_INVALID',
      `postgres_wire: no TLS with ${files.tls_cert} and ${files.tls_key}: ${reason}`,
      {},
      { cause },
    )
  }
}

/** RFC 5929, 4.1: the hash of the certificate's own signature; SHA-256 in place of MD5 and SHA-1. */
export function endPointHash(der: Buffer): Uint8Array | undefined {
  const algorithm = hashBySignature.get(signatureOid(der))
  return algorithm === undefined ? undefined : createHash(algorithm).update(der).digest()
}

/** By the object identifier's bytes. Others, as Ed25519, have no hash of their own. */
const hashBySignature: ReadonlyMap<string, string> = new Map([
  // 1.2.840.113549.1.1.…: RSA with MD5, SHA-1, SHA-256, SHA-384, SHA-512, SHA-224
  ['2a864886f70d010104', 'sha256'],
  ['2a864886f70d010105', 'sha256'],
  ['2a864886f70d01010b', 'sha256'],
  ['2a864886f70d01010c', 'sha384'],
  ['2a864886f70d01010d', 'sha512'],
  ['2a864886f70d01010e', 'sha224'],
  // 1.2.840.10045.4.…: ECDSA with SHA-1, SHA-224, SHA-256, SHA-384, SHA-512
  ['2a8648ce3d0401', 'sha256'],
  ['2a8648ce3d040301', 'sha224'],
  ['2a8648ce3d040302', 'sha256'],
  ['2a8648ce3d040303', 'sha384'],
  ['2a8648ce3d040304', 'sha512'],
])

/** Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OID, … }, … } */
function signatureOid(der: Buffer): string {
  const certificate = derElement(der, 0)
  const signed = derElement(der, certificate.start)
  const algorithm = derElement(der, signed.end)
  const oid = derElement(der, algorithm.start)
  return der.toString('hex', oid.start, oid.end)
}

/** Where the contents of the DER element at this place are. */
function derElement(der: Buffer, at: number): { readonly start: number; readonly end: number } {
  const first = der[at + 1] ?? 0
  if (first < 0x80) return { start: at + 2, end: at + 2 + first }
  const lengthBytes = first & 0x7f
  const start = at + 2 + lengthBytes
  return { start, end: start + der.readUIntBE(at + 2, lengthBytes) }
}
