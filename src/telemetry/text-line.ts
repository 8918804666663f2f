/**
 * Turns a JSON line of the log into one for people: `11:42:50.123 info  listening port=2900`.
 * A stack follows on its own lines.
 */
export function textLine(json: string): string {
  return render(JSON.parse(json) as LogLine)
}

/** What createLog writes as JSON. */
interface LogLine {
  readonly level: string
  /** ISO 8601. */
  readonly time: string
  readonly message?: string
  readonly error?: unknown
  readonly [field: string]: unknown
}

function render({ level, time, message, error, ...fields }: LogLine): string {
  const parts = [
    time.slice(11, 23),
    level.padEnd(5),
    printable(message ?? ''),
    ...Object.entries(fields).map(([name, value]) => `${name}=${fieldText(value)}`),
  ]
  return `${parts.join(' ')}\n${errorLines(error)}`
}

function fieldText(value: unknown): string {
  const isPlain = typeof value === 'string' && /^[\w.:/@-]+$/.test(value)
  return isPlain ? value : JSON.stringify(value)
}

function errorLines(error: unknown): string {
  if (error === undefined) return ''
  const text = hasStack(error) ? error.stack : JSON.stringify(error)
  return text
    .split('\n')
    .map((line) => `  ${printable(line)}\n`)
    .join('')
}

function hasStack(error: unknown): error is { readonly stack: string } {
  return (
    typeof error === 'object' &&
    error !== null &&
    'stack' in error &&
    typeof error.stack === 'string'
  )
}

/** Control characters escaped, so that what is logged cannot drive the terminal. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (character) => JSON.stringify(character).slice(1, -1))
}
