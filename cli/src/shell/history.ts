import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The lines typed before, kept in ~/.kalam/history (mode 0600) without those that hold secrets. */
export class History {
  readonly linesMax = 1000
  readonly #path: string
  #isWritable = true

  constructor(home: string) {
    this.#path = join(home, '.kalam', 'history')
  }

  /** As readline wants them. The file is cut when it has grown far beyond what is used. */
  newestFirst(): string[] {
    const lines = this.#read()
    const kept = lines.slice(-this.linesMax)
    if (lines.length > 2 * this.linesMax) this.#write(() => this.#replace(kept))
    return kept.reverse()
  }

  /** Keeps a line, unless it is empty or has a secret in it. */
  add(line: string): void {
    if (line.trim() === '' || holdsSecret(line)) return
    this.#write(() => {
      mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 })
      appendFileSync(this.#path, `${line}\n`, { mode: 0o600 })
    })
  }

  /** Takes secrets out of readline's own list, so that the up arrow does not show them. */
  forgetSecrets(lines: string[]): void {
    const [newest] = lines
    if (newest !== undefined && holdsSecret(newest)) lines.shift()
  }

  #read(): string[] {
    try {
      return readFileSync(this.#path, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
    } catch {
      return []
    }
  }

  #replace(lines: readonly string[]): void {
    writeFileSync(this.#path, `${lines.join('\n')}\n`, { mode: 0o600 })
  }

  /** A history that cannot be kept (full disk, read-only home) is no reason to stop. */
  #write(work: () => void): void {
    if (!this.#isWritable) return
    try {
      work()
    } catch {
      this.#isWritable = false
    }
  }
}

/** API keys, and words that come before secrets. */
function holdsSecret(line: string): boolean {
  return /kal_[\w-]{8}|\b(?:password|secret|api_?key\s*=)/i.test(line)
}
