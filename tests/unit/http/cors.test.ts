import { describe, expect, test } from 'vitest'
import { createCors } from '#src/http/cors.js'
import { sections } from '#src/config/settings.js'

const defaultOrigins = sections.cors.settings.allowed_origins.default

function headersFor(origins: readonly string[], origin: string) {
  const head = {
    method: 'GET',
    path: '/',
    query: '',
    header: (name: string) => (name === 'origin' ? origin : ''),
    isAmbiguous: false,
  }
  return new Map(createCors(origins).headers(head))
}

function allowedOrigin(origins: readonly string[], origin: string): string | undefined {
  return headersFor(origins, origin).get('access-control-allow-origin')
}

describe('C8: which pages may read answers', () => {
  test.each([
    'http://localhost',
    'http://localhost:5173',
    'https://localhost:8443',
    'http://127.0.0.1:1',
    'https://127.0.0.1:65535',
  ])('by default %s', (origin) => {
    expect(allowedOrigin(defaultOrigins, origin)).toBe(origin)
  })

  test.each([
    'http://localhost.example.com',
    'http://localhost:5173.example.com',
    'http://localhost:',
    'http://evil.example',
    'http://127.0.0.1.example:80',
    'http://127.0.0.2:80',
    'http://[::1]:80',
    'file://',
    'null',
    'http://localhost:123456',
  ])('by default not %s', (origin) => {
    expect(allowedOrigin(defaultOrigins, origin)).toBeUndefined()
  })

  test('listed origins are compared whole', () => {
    const origins = ['https://app.example.com', 'https://b.example.com:8443']
    expect(allowedOrigin(origins, 'https://app.example.com')).toBe('https://app.example.com')
    expect(allowedOrigin(origins, 'https://app.example.com:444')).toBeUndefined()
    expect(allowedOrigin(origins, 'https://b.example.com:8443')).toBe('https://b.example.com:8443')
    expect(allowedOrigin(origins, 'https://b.example.com')).toBeUndefined()
    expect(allowedOrigin(origins, 'http://app.example.com')).toBeUndefined()
  })

  test('a star allows all by a star, and never credentials', () => {
    const headers = headersFor(['*'], 'https://any.example')
    expect(headers.get('access-control-allow-origin')).toBe('*')
    expect(headers.has('access-control-allow-credentials')).toBe(false)
  })

  test('answers differ by origin, and say so to caches', () => {
    expect(headersFor(defaultOrigins, 'http://localhost:1').get('vary')).toBe('origin')
    expect(headersFor(defaultOrigins, '').get('vary')).toBe('origin')
  })

  test('an empty list allows none', () => {
    expect(allowedOrigin([], 'http://localhost:5173')).toBeUndefined()
  })
})
