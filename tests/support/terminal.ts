/** A pseudo-terminal with the shell in it, by `script` of util-linux; no package for it is needed. */
import { spawn, spawnSync } from 'node:child_process'
import { kalamBin, kalamEnv, type KalamOptions } from './kalam.js'

/** Whether this machine can run such tests. */
export const hasTerminal = spawnSync('script', ['--version']).status === 0

/** Longest a shell may take to answer; a loaded two-core machine needs seconds to start one. */
const answerMsMax = 30_000

/** Escape sequences that readline draws its line with. */
const drawing = /\u001b\[[0-9;?]*[A-Za-z]/g

export interface Terminal extends AsyncDisposable {
  /** Everything shown since the last call, up to and with the text waited for. */
  until(text: string): Promise<string>
  type(keys: string): void
  /** The exit code, once the shell has ended. */
  readonly ended: Promise<number>
}

export function openTerminal(args: readonly string[], options: KalamOptions): Terminal {
  const command = [process.execPath, kalamBin, ...args].map((word) => `'${word}'`).join(' ')
  const child = spawn('script', ['-qfec', `stty cols 200; exec ${command}`, '/dev/null'], {
    env: { ...kalamEnv(options), TERM: 'xterm' },
  })
  let shown = ''
  let look = () => {}
  child.stdin.on('error', () => undefined)
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text
    look()
  })
  const ended = new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? -1)))
  return {
    ended,
    type: (keys) => void child.stdin.write(keys),
    until: (text) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(
          () =>
            reject(new Error(`waited for ${JSON.stringify(text)}, got ${JSON.stringify(shown)}`)),
          answerMsMax,
        )
        look = () => {
          const plain = shown.replace(drawing, '')
          const at = plain.indexOf(text)
          if (at < 0) return
          clearTimeout(timer)
          shown = plain.slice(at + text.length)
          resolve(plain.slice(0, at + text.length))
        }
        look()
      }),
    [Symbol.asyncDispose]: async () => {
      child.kill()
      await ended
    },
  }
}
