/** Programs that drive browsers: their start, what they say when they are ready, and their end. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { within } from '../socket-client.js'

export interface DriverProcess {
  /** Waits for a line of its standard output or error, and gives what the pattern's group holds. */
  said(pattern: RegExp): Promise<string>
  /** Ends it, and all that it started. */
  end(): Promise<void>
}

/** Ends with its starter: when stdin closes, it and what it started are told to end. */
const guardScript = `
  trap : TERM
  exec 3<&0
  "$@" 3<&- &
  child=$!
  { cat <&3 >/dev/null; kill -- -$$; } &
  wait $child
  wait $child`

export function startDriver(
  command: readonly string[],
  env: Readonly<Record<string, string>>,
): DriverProcess {
  const guard = spawn('sh', ['-c', guardScript, 'guard', ...command], {
    // A group of its own, of which all can be told to end.
    detached: true,
    env: { ...process.env, ...env },
  })
  let output = ''
  let wake = () => {}
  for (const stream of [guard.stdout, guard.stderr])
    stream.on('data', (piece: Buffer) => {
      output += String(piece)
      wake()
    })
  guard.once('exit', () => wake())
  const find = async (pattern: RegExp): Promise<string> => {
    for (;;) {
      const found = pattern.exec(output)?.[1]
      if (found !== undefined) return found
      if (hasEnded(guard)) throw new Error(`${command[0] ?? ''} ended: ${output}`)
      await new Promise<void>((resolve) => (wake = resolve))
    }
  }
  return {
    said: (pattern) => within(`${String(pattern)} from ${command[0] ?? ''}`, find(pattern)),
    end: () => endOf(guard),
  }
}

const endMsMax = 5_000

async function endOf(guard: ChildProcess): Promise<void> {
  if (hasEnded(guard)) return
  const ended = once(guard, 'exit')
  guard.stdin?.end()
  const timer = setTimeout(() => process.kill(-(guard.pid ?? 0), 'SIGKILL'), endMsMax)
  await ended
  clearTimeout(timer)
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null
}
