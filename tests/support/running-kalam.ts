/** The command line while it runs: what it prints, line by line, and its end. */
import { spawn } from 'node:child_process'
import { kalamBin, kalamEnv } from './kalam.js'
import { within } from './socket-client.js'

export interface RunningKalam extends AsyncDisposable {
  /** The next line of standard output. */
  line(): Promise<string>
  /** Waits until standard error holds this. */
  told(text: string | RegExp): Promise<void>
  readonly stderr: string
  interrupt(): void
  readonly exit: Promise<number>
  /** Takes nothing of standard output, until `resume`. */
  pause(): void
  resume(): void
}

export interface RunningOptions {
  readonly home: string
  readonly env?: Readonly<Record<string, string>>
}

export function startKalam(args: readonly string[], options: RunningOptions): RunningKalam {
  const child = spawn(process.execPath, [kalamBin, ...args], {
    env: kalamEnv(options),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  let rest = ''
  let stderr = ''
  let hasEnded = false
  let waiting: (() => void)[] = []
  const wake = () => {
    for (const resume of waiting.splice(0)) resume()
  }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts)
    wake()
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    wake()
  })
  const exit = new Promise<number>((resolve) => {
    child.once('close', (code) => {
      hasEnded = true
      resolve(code ?? -1)
      wake()
    })
  })
  const until = async <T>(what: string, find: () => T | undefined): Promise<T> => {
    for (;;) {
      const found = find()
      if (found !== undefined) return found
      if (hasEnded) throw new Error(`kalam ended without ${what}; it said: ${stderr}`)
      await within(
        `${what}; stderr: ${stderr}`,
        new Promise<void>((resolve) => {
          waiting = [...waiting, resolve]
        }),
      )
    }
  }
  return {
    line: () => until('a line', () => lines.shift()),
    told: async (text) => {
      const isTold = () => (typeof text === 'string' ? stderr.includes(text) : text.test(stderr))
      await until(`saying ${String(text)}`, () => isTold() || undefined)
    },
    get stderr() {
      return stderr
    },
    interrupt: () => child.kill('SIGINT'),
    get exit() {
      return within('an exit', exit)
    },
    pause: () => child.stdout.pause(),
    resume: () => child.stdout.resume(),
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await exit
    },
  }
}
