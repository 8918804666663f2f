/**
 * The kinds of setting there are: what a value may be, how it is written in a variable or a flag,
 * and the words that tell a person what was expected. The only file that knows zod.
 */
import { z } from 'zod'

/** One setting. Everything said about it anywhere is made from this. */
export interface Setting<T> {
  readonly default: T
  /** `ms`, `bytes`, `hours`, … or empty. */
  readonly unit: string
  /** One sentence or two: what it does and why one would change it. */
  readonly description: string
  /** Its value is never shown or logged. */
  readonly secret: boolean
  /** `a whole number from 1 to 65535`. */
  readonly expects: string
  /** The value, typed, or undefined when it is not what the setting expects. */
  readonly check: (value: unknown) => T | undefined
  /** What a variable's or flag's text means, before `check`. */
  readonly parse: (text: string) => unknown
}

export interface SettingOptions<T> {
  readonly default: T
  readonly description: string
  readonly unit?: string
  readonly secret?: boolean
}

export interface IntegerOptions extends SettingOptions<number> {
  readonly min: number
  readonly max: number
}

/** A whole number within bounds. */
export function integer(options: IntegerOptions): Setting<number> {
  const { min, max } = options
  return setting(options, {
    schema: z.int().min(min).max(max),
    expects: `a whole number from ${min} to ${max}`,
    parse: (text) => (/^[+-]?\d+$/.test(text.trim()) ? Number(text) : text),
  })
}

export interface TextOptions extends SettingOptions<string> {
  /** What the text must look like; an empty text passes too when it is the default. */
  readonly pattern?: RegExp
  /** Says the pattern in words. */
  readonly expects?: string
}

/** Text without NUL and line breaks. */
export function text(options: TextOptions): Setting<string> {
  const pattern = options.pattern ?? /^[^\0\r\n]*$/u
  const isAllowed = (value: string) =>
    pattern.test(value) || (value === '' && options.default === '')
  return setting(options, {
    schema: z.string().refine(isAllowed),
    expects: options.expects ?? 'text on one line',
    parse: (value) => value,
  })
}

/** Yes or no. Variables and flags may also say 1, 0, yes, no, on, off, in any case. */
export function boolean(options: SettingOptions<boolean>): Setting<boolean> {
  return setting(options, {
    schema: z.boolean(),
    expects: 'true or false',
    parse: (value) => booleanWords.get(value.trim().toLowerCase()) ?? value,
  })
}

const booleanWords = new Map([
  ...['true', '1', 'yes', 'on'].map((word) => [word, true] as const),
  ...['false', '0', 'no', 'off'].map((word) => [word, false] as const),
])

export interface ChoiceOptions<T extends string> extends SettingOptions<T> {
  readonly choices: readonly T[]
}

/** One of a few words, in any case. */
export function choice<const T extends string>(options: ChoiceOptions<T>): Setting<T> {
  const lowered = z
    .string()
    .transform((value) => value.toLowerCase())
    .pipe(z.enum(options.choices))
  return setting(options, {
    schema: lowered,
    expects: `one of ${options.choices.join(', ')}`,
    parse: (value) => value.trim(),
  })
}

export interface ListOptions extends SettingOptions<readonly string[]> {
  /** What each entry must look like. */
  readonly pattern: RegExp
  /** Says the pattern in words: `a list of …`. */
  readonly expects: string
  /** Most entries. */
  readonly max: number
}

/** A list of texts; in variables and flags separated by commas. */
export function list(options: ListOptions): Setting<readonly string[]> {
  return setting(options, {
    schema: z.array(z.string().regex(options.pattern)).max(options.max),
    expects: `${options.expects}, at most ${options.max}`,
    parse: (value) =>
      value
        .split(',')
        .map((entry) => entry.trim())
        .filter((entry) => entry !== ''),
  })
}

interface Kind<T> {
  readonly schema: z.ZodType<T>
  readonly expects: string
  readonly parse: (text: string) => unknown
}

function setting<T>(options: SettingOptions<T>, kind: Kind<T>): Setting<T> {
  return Object.freeze({
    default: options.default,
    unit: options.unit ?? '',
    description: options.description,
    secret: options.secret ?? false,
    expects: kind.expects,
    check: (value: unknown) => kind.schema.safeParse(value).data,
    parse: kind.parse,
  })
}
