import { existsSync, readFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'

/** One line of a bench: the spread of its samples. */
export interface Measurement {
  readonly case: string
  readonly unit: string
  readonly median: number
  readonly min: number
  readonly max: number
  /** What it is compared with, over it; the bench says with what. */
  readonly ratio?: number
  /** Why there is nothing to measure; the numbers are NaN then. */
  readonly failed?: string
}

/** What `--json` prints. */
export interface BenchReport {
  readonly name: string
  readonly machine: string
  readonly versions: Readonly<Record<string, string>>
  readonly results: readonly Measurement[]
  readonly budgets: readonly Budget[]
}

/** A promise of the design that the bench looks at; NaN when it did not measure it. */
export interface Budget {
  readonly name: string
  readonly bound: 'at least' | 'at most'
  readonly limit: number
  readonly got: number
}

export interface Bench {
  readonly name: string
  /** What it answers, in one sentence. */
  readonly question: string
  run(options: BenchOptions): Promise<BenchReport>
}

export interface BenchOptions {
  /** At most 45 s: fewer cases, shorter samples. */
  readonly quick: boolean
  /** Folder for CPU profiles of the server; none are taken without it. */
  readonly profileFolder?: string | undefined
  /** Progress, for people. */
  say(line: string): void
}

export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2
}

export interface SummaryOptions {
  readonly case: string
  readonly unit: string
  readonly samples: readonly number[]
  readonly ratio?: number | undefined
}

export function summarise({ samples, ratio, ...rest }: SummaryOptions): Measurement {
  return {
    ...rest,
    median: rounded(median(samples)),
    min: rounded(Math.min(...samples)),
    max: rounded(Math.max(...samples)),
    ...(ratio === undefined ? {} : { ratio: Number(ratio.toFixed(3)) }),
  }
}

/** Three digits are more than any of these measurements holds. */
function rounded(value: number): number {
  return value >= 100 ? Math.round(value) : Number(value.toPrecision(3))
}

export function describeMachine(): string {
  const processors = cpus()
  const memoryGiB = (totalmem() / 2 ** 30).toFixed(0)
  const model = processors[0]?.model.trim() ?? 'unknown processor'
  return `${processors.length} × ${model}, ${memoryGiB} GiB, ${process.platform}`
}

/** Versions of Node and of others: as given, or as an installed package's manifest says. */
export function packageVersions(
  others: Readonly<Record<string, URL | string>>,
): Record<string, string> {
  const versions: Record<string, string> = { node: process.versions.node }
  for (const [name, source] of Object.entries(others))
    versions[name] = typeof source === 'string' ? source : versionIn(source)
  return versions
}

function versionIn(manifest: URL): string {
  if (!existsSync(manifest)) return 'none'
  const parsed = JSON.parse(readFileSync(manifest, 'utf8')) as { version?: string }
  return parsed.version ?? 'unknown'
}
