/**
 * Whether there is a Docker engine. Where there is none its tests are skipped, and why is said; in CI
 * they run, and fail.
 */
import { execFileSync } from 'node:child_process'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  interface ProvidedContext {
    readonly hasDocker: boolean
    readonly hasCompose: boolean
  }
}

export default function setup(project: TestProject): void {
  const isCI = process.env['CI'] === 'true'
  const hasDocker = isCI || answers(['version'])
  const hasCompose = isCI || (hasDocker && answers(['compose', 'version']))
  project.provide('hasDocker', hasDocker)
  project.provide('hasCompose', hasCompose)
  if (!hasDocker) console.log('docker: its tests are skipped, as no engine answers')
  else if (!hasCompose) console.log('docker: the test of Compose is skipped, as there is none')
}

function answers(args: readonly string[]): boolean {
  try {
    execFileSync('docker', args, { stdio: 'ignore', timeout: 10_000 })
    return true
  } catch {
    return false
  }
}
