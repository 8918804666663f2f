/**
 * Ends the whole run when a file of tests does not end. Vitest's own time-outs run in the file's thread: they end
 * neither one that spins nor a file that waits for ever before its first test, and the run would say nothing.
 */
import { readFileSync, readdirSync } from 'node:fs'
import type { TestModule, Vitest } from 'vitest/node'
import { countOf } from './counts.js'

const lookEveryMs = 1_000

/** Looks at the files that run, until the answered function is called. */
export function watchFiles({ state }: Vitest): () => void {
  const minutesMax = countOf('KALAM_TEST_FILE_MINUTES', 10)
  const begunAtMs = new Map<string, number>()
  const look = () => {
    const nowMs = performance.now()
    const running = state.getTestModules().filter(isRunning)
    for (const { id } of running) if (!begunAtMs.has(id)) begunAtMs.set(id, nowMs)
    const late = running.filter(
      ({ id }) => nowMs - (begunAtMs.get(id) ?? nowMs) > minutesMax * 60_000,
    )
    if (late.length > 0) endRun(late, minutesMax)
  }
  const timer = setInterval(look, lookEveryMs)
  return () => clearInterval(timer)
}

function isRunning(module: TestModule): boolean {
  const state = module.state()
  return state === 'queued' || state === 'pending'
}

/** Not by `process.exit`, which waits for the thread. */
function endRun(late: readonly TestModule[], minutesMax: number): void {
  const names = late.map(
    ({ project, relativeModuleId }) => `  ${project.name}: ${relativeModuleId}`,
  )
  console.error(
    `\nThe run is ended. Not finished after ${minutesMax} minutes (KALAM_TEST_FILE_MINUTES):\n${names.join('\n')}`,
  )
  for (const pid of [...descendantsOf(process.pid), process.pid]) kill(pid)
}

/** Servers, browsers and the like, in whatever process groups. Linux only; elsewhere none is known. */
function descendantsOf(pid: number): readonly number[] {
  const children = processes()
    .filter(({ parent }) => parent === pid)
    .map((child) => child.pid)
  return [...children.flatMap(descendantsOf), ...children]
}

function processes(): readonly { readonly pid: number; readonly parent: number }[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/u.test(name))
      .map((pid) => ({ pid: Number(pid), parent: parentOf(pid) }))
  } catch {
    return []
  }
}

function parentOf(pid: string): number {
  try {
    // The name of the program, before it, may hold anything.
    return Number(/\) \S (\d+) [^)]*$/u.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.[1])
  } catch {
    // It has ended meanwhile.
    return 0
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}
