/** Runs the real command line, as a process of its own. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'

export const kalamBin = join(import.meta.dirname, '../../cli/bin/kalam.js')

export interface KalamOptions {
  /** `$HOME`: where profiles, history and local tokens are. */
  readonly home: string
  readonly env?: Readonly<Record<string, string>>
  /** What is piped in; nothing if absent. */
  readonly stdin?: string | Uint8Array
  /** The Node that runs it; else the one that runs the tests. */
  readonly node?: string
}

export interface KalamOutcome {
  readonly exit: number
  readonly stdout: string
  readonly stderr: string
}

/** Nothing of this machine's own settings gets in. */
export function kalamEnv({
  home,
  env,
}: Pick<KalamOptions, 'home' | 'env'>): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', HOME: home, ...env }
}

export async function kalam(args: readonly string[], options: KalamOptions): Promise<KalamOutcome> {
  const child = spawn(options.node ?? process.execPath, [kalamBin, ...args], {
    env: kalamEnv(options),
  })
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.stdin ?? '')
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout.on('data', (bytes: Buffer) => stdout.push(bytes))
  child.stderr.on('data', (bytes: Buffer) => stderr.push(bytes))
  const exit = await new Promise<number>((resolve) => {
    child.on('close', (code) => resolve(code ?? -1))
  })
  return { exit, stdout: String(Buffer.concat(stdout)), stderr: String(Buffer.concat(stderr)) }
}
