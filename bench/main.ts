/** `npm run bench [name] [-- --quick --json --profile]`: runs one bench, or all of them. */
import { mkdirSync } from 'node:fs'
import { loadavg } from 'node:os'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { Bench, BenchReport, Budget } from './result.js'
import { linkBench } from './link/link-bench.js'
import { liveBench } from './live/live-bench.js'
import { sqlBench } from './sql/sql-bench.js'
import { tablesBench } from './tables/tables-bench.js'
import { wireBench } from './wire/wire-bench.js'

const benches: readonly Bench[] = [sqlBench, tablesBench, liveBench, linkBench, wireBench]

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    profile: { type: 'boolean', default: false },
  },
})
await main()

async function main(): Promise<void> {
  const chosen = benches.filter(({ name }) => positionals.length === 0 || positionals[0] === name)
  if (chosen.length === 0) throw new Error(`no such bench; there are: ${names()}`)
  for (const bench of chosen) await runOne(bench)
}

function names(): string {
  return benches.map(({ name }) => name).join(', ')
}

async function runOne(bench: Bench): Promise<void> {
  // Absolute: the server runs in a folder of its own.
  const profileFolder = values.profile ? resolve(`profiles/${bench.name}`) : undefined
  if (profileFolder !== undefined) mkdirSync(profileFolder, { recursive: true })
  const say = (line: string) => void process.stderr.write(`${line}\n`)
  say(bench.question)
  const load = (loadavg()[0] ?? NaN).toFixed(1)
  const report = await bench.run({ quick: values.quick, profileFolder, say })
  const told = { ...report, machine: `${report.machine}, load average ${load} before` }
  process.stdout.write(values.json ? jsonOf(told) : tableOf(told))
}

/** Budgets are for people: whoever reads JSON has the numbers. */
function jsonOf({ name, machine, versions, results }: BenchReport): string {
  return `${JSON.stringify({ name, machine, versions, results })}\n`
}

function tableOf({ machine, versions, results, budgets }: BenchReport): string {
  const cells = results.map((line) => [
    line.case,
    line.unit,
    line.failed === undefined ? String(line.median) : 'FAIL',
    line.failed ?? `${line.min}–${line.max}`,
    line.ratio === undefined ? '' : String(line.ratio),
  ])
  const rows = [['case', 'unit', 'median', 'min–max', 'ratio'], ...cells]
  const widths = [0, 1, 2, 3, 4].map((at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)))
  const lines = rows.map((row) => row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  '))
  const kept = budgets.map((budget) => {
    const { name, bound, limit, got } = budget
    return `budget ${verdictOf(budget)}: ${name}: ${got.toPrecision(4)}, ${bound} ${limit}`
  })
  const used = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  return [machine, used.join(', '), '', ...lines, '', ...kept, ''].join('\n')
}

function verdictOf({ bound, limit, got }: Budget): string {
  if (Number.isNaN(got)) return 'not measured'
  return (bound === 'at least' ? got >= limit : got <= limit) ? 'holds' : 'MISSED'
}
