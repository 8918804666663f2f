/** Runs a program of this machine to its end: psql, pg_dump, pgbench, python3, java. */
import { spawn } from 'node:child_process'

export interface ProgramOptions {
  /** Nothing else of this process's environment but PATH gets in. */
  readonly env: Readonly<Record<string, string>>
  /** What is piped in; nothing if absent. */
  readonly stdin?: string
  readonly cwd?: string
  /** Longest it may run before it is killed, in ms. */
  readonly deadlineMs?: number
  /** Says from what was printed so far whether to send SIGINT, once. */
  readonly interruptWhen?: (stdout: string) => boolean
}

export interface ProgramOutcome {
  /** -1 if a signal ended it. */
  readonly exit: number
  readonly stdout: string
  readonly stderr: string
}

const defaultDeadlineMs = 60_000

export async function runProgram(
  command: string,
  args: readonly string[],
  { env, stdin = '', cwd, deadlineMs = defaultDeadlineMs, interruptWhen }: ProgramOptions,
): Promise<ProgramOutcome> {
  const child = spawn(command, args, {
    env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C.UTF-8', ...env },
    ...(cwd === undefined ? {} : { cwd }),
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs)
  let stdout = ''
  let stderr = ''
  let isInterrupted = false
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    stdout += piece
    if (!isInterrupted && interruptWhen?.(stdout) === true) {
      isInterrupted = true
      child.kill('SIGINT')
    }
  })
  child.stderr.setEncoding('utf8').on('data', (piece: string) => {
    stderr += piece
  })
  child.stdin.on('error', () => undefined)
  child.stdin.end(stdin)
  const exit = await new Promise<number>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve(code ?? -1))
  })
  clearTimeout(timer)
  return { exit, stdout, stderr }
}
