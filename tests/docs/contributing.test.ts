/** The counts that CONTRIBUTING.md states are those of the tests and of scripts/test-long.js. */
import { readFileSync, readdirSync } from 'node:fs'
import { expect, test } from 'vitest'

const root = new URL('../../', import.meta.url)
const textOf = (path: string) => readFileSync(new URL(path, root), 'utf8')
const pathsOf = (folder: string) =>
  readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' }).map(
    (path) => `${folder}/${path}`,
  )

test('CONTRIBUTING.md states the counts of usual and long runs', () => {
  const rows = textOf('CONTRIBUTING.md').matchAll(
    /^\| `(KALAM_TEST_\w+)` +\| ([\d,]+) +\| ([\d,]+)/gmu,
  )
  const stated = Array.from(rows, ([, name = '', usual = '', long = '']) => ({
    ...{ name, usual: numberOf(usual), long: numberOf(long) },
  }))
  const long = countsIn(textOf('scripts/test-long.js'), /(KALAM_TEST_\w+): '(\d+)'/gu)
  const tests = pathsOf('tests').filter((path) => path.endsWith('.ts'))
  const usual = countsIn(tests.map(textOf).join(''), /'(KALAM_TEST_\w+)', ([\d_]+)\)/gu)
  expect(stated.length).toBeGreaterThan(0)
  expect(Object.fromEntries(stated.map((row) => [row.name, row.usual]))).toEqual(usual)
  expect(Object.fromEntries(stated.map((row) => [row.name, row.long]))).toEqual(long)
})

function countsIn(text: string, pattern: RegExp): Record<string, number> {
  return Object.fromEntries(
    Array.from(text.matchAll(pattern), ([, name = '', count = '']) => [name, numberOf(count)]),
  )
}

function numberOf(text: string): number {
  return Number(text.replaceAll(/[,_]/gu, ''))
}
