/**
 * Which web pages may read our answers. Keys travel in a header that scripts must set, never in
 * cookies, so credentials are never allowed and a wildcard gives nothing away.
 */
import type { RequestHead } from './request-head.js'
import type { Header } from './uws.js'

export interface Cors {
  /** Headers for an answer to this request: empty for callers that are not browsers. */
  headers(head: RequestHead): readonly Header[]
  /** Headers that answer a preflight; the path takes `requestHeaders` beside those of all. */
  preflight(head: RequestHead, requestHeaders?: readonly string[]): readonly Header[]
  /**
   * Whether the page may open a WebSocket, which browsers leave to us. Those of our own host may,
   * as they may send requests; what is no page sends no origin.
   */
  allows(head: RequestHead): boolean
}

/** `allowedOrigins` as in cors.allowed_origins: `:*` is any port, a lone `*` any origin. */
export function createCors(allowedOrigins: readonly string[]): Cors {
  const isAllowed = originMatcher(allowedOrigins)
  const isAnyAllowed = allowedOrigins.includes('*')
  const headers = (head: RequestHead): readonly Header[] => {
    const origin = head.header('origin')
    if (isAnyAllowed) return origin === '' ? [] : anyOrigin
    if (origin === '' || !isAllowed(origin)) return varying
    return [['access-control-allow-origin', origin], ...exposed, ...varying]
  }
  const preflight = (
    head: RequestHead,
    requestHeaders: readonly string[] = [],
  ): readonly Header[] => {
    const allowed = headers(head)
    const isRefused = allowed.every(([name]) => name !== 'access-control-allow-origin')
    return isRefused ? allowed : [...allowed, ...preflightHeaders(requestHeaders)]
  }
  const allows = (head: RequestHead): boolean => {
    const origin = head.header('origin')
    return origin === '' || isAnyAllowed || isAllowed(origin) || isOwn(origin, head)
  }
  return { headers, preflight, allows }
}

function isOwn(origin: string, head: RequestHead): boolean {
  return URL.canParse(origin) && new URL(origin).host === head.header('host').toLowerCase()
}

/** Shared caches must keep answers to different pages apart. */
const varying: readonly Header[] = [['vary', 'origin']]
const exposed: readonly Header[] = [
  ['access-control-expose-headers', 'retry-after, www-authenticate'],
]
const anyOrigin: readonly Header[] = [['access-control-allow-origin', '*'], ...exposed]
const usualRequestHeaders = [
  ...['accept', 'authorization', 'content-type', 'idempotency-key', 'x-api-key'],
]

function preflightHeaders(requestHeaders: readonly string[]): readonly Header[] {
  const allowed = new Set([...usualRequestHeaders, ...requestHeaders])
  return [
    ['access-control-allow-methods', 'GET, HEAD, POST, OPTIONS'],
    ['access-control-allow-headers', [...allowed].join(', ')],
    // Two hours, the most that Chromium keeps.
    ['access-control-max-age', '7200'],
  ]
}

function originMatcher(allowedOrigins: readonly string[]): (origin: string) => boolean {
  const lowerCase = allowedOrigins.map((origin) => origin.toLowerCase())
  const exact = new Set(lowerCase.filter((origin) => !origin.endsWith(':*')))
  const anyPort = new Set(
    lowerCase.filter((origin) => origin.endsWith(':*')).map((origin) => origin.slice(0, -2)),
  )
  // Browsers send scheme and host in lower case, and no port where it is the scheme's own.
  return (origin) => exact.has(origin) || anyPort.has(origin.replace(/:\d{1,5}$/, ''))
}
