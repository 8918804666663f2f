import { execFileSync } from 'node:child_process'
import { X509Certificate, createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { endPointHash } from '#adapters/postgres/server-certificate.js'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kalam-certificates-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

test.each([
  ['rsa:2048', ['-sha256'], 'sha256'],
  ['rsa:2048', ['-sha384'], 'sha384'],
  ['rsa:2048', ['-sha512'], 'sha512'],
  ['rsa:2048', ['-sha1'], 'sha256'],
  ['ec', ['-pkeyopt', 'ec_paramgen_curve:P-256', '-sha256'], 'sha256'],
  ['ec', ['-pkeyopt', 'ec_paramgen_curve:P-384', '-sha384'], 'sha384'],
  ['ed25519', [], undefined],
])('RFC 5929: a certificate of %s %j is hashed with %s', (kind, options, algorithm) => {
  const files = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')]
  const subject = ['-newkey', kind, '-nodes', '-days', '1', '-subj', '/CN=kalam', ...options]
  execFileSync('openssl', ['req', '-x509', ...subject, ...files], { stdio: 'ignore' })
  const der = new X509Certificate(readFileSync(join(folder, 'cert.pem'))).raw
  const expected = algorithm && createHash(algorithm).update(der).digest()
  expect(endPointHash(der)).toEqual(expected)
})
