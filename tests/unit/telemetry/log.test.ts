import { expect, test } from 'vitest'
import type { Config } from '#src/config/settings.js'
import { createLog, type Log } from '#src/telemetry/log.js'

const key = `kal_${'a'.repeat(43)}`

function open(options: Partial<Config['log']> & { readonly isTTY?: boolean } = {}) {
  const { isTTY = false, ...settings } = options
  const lines: string[] = []
  const target = { isTTY, write: (line: string) => lines.push(line) }
  const log = createLog(
    { level: 'info', format: 'json', slow_statement_ms: 0, ...settings },
    target,
  )
  return { log, lines }
}

test('writes one JSON object a line', () => {
  const { log, lines } = open()
  log.child({ room: 'http' }).info('listening', { port: 2900 })
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    level: 'info',
    room: 'http',
    port: 2900,
    message: 'listening',
  })
  expect(lines[0]?.endsWith('\n')).toBe(true)
})

test('writes nothing below its level', () => {
  const { log, lines } = open({ level: 'warn' })
  log.info('no')
  log.warn('yes')
  expect(lines).toHaveLength(1)
})

test.each(['json', 'text'] as const)('keeps stack and cause of an error (%s)', (format) => {
  const { log, lines } = open({ format })
  log.error('failed', { error: new Error('boom', { cause: new Error('why') }) })
  expect(lines.join('')).toContain('boom')
  expect(lines.join('')).toContain('why')
  expect(lines.join('')).toContain('log.test.ts')
})

const leaks: Record<string, (log: Log) => void> = {
  'in a message': (log) => log.info(`with ${key}`),
  'in a field of another name': (log) => log.info('x', { other: { deep: [key] } }),
  'in an error': (log) => log.error('x', { error: new Error(key) }),
  'in a child field': (log) => log.child({ x: key }).info('x'),
}

test.each(Object.entries(leaks))('never writes a key %s', (_place, write) => {
  for (const format of ['json', 'text'] as const) {
    const { log, lines } = open({ format })
    write(log)
    expect(lines.join('')).toContain('kal_••••')
    expect(lines.join('')).not.toContain(key)
  }
})

test.each(['apikey', 'authorization', 'password', 'token', 'params', 'parameters'])(
  'masks the field %s',
  (name) => {
    const { log, lines } = open()
    log.info('x', { [name]: 'hunter2', request: { [name]: ['hunter2'] } })
    expect(lines.join('')).not.toContain('hunter2')
  },
)

test('writes text for people on a terminal, and control characters escaped', () => {
  const { log, lines } = open({ format: 'auto', isTTY: true })
  log.info('hello \u001b[31m', { port: 2900, name: 'a b' })
  expect(lines[0]).toMatch(
    /^\d\d:\d\d:\d\d\.\d{3} info {2}hello \\u001b\[31m port=2900 name="a b"\n$/,
  )
})
