/**
 * What the command line must know of a statement to send it well. Only its first words are looked
 * at; the server decides everything that matters.
 */
import { tokenAt } from '../../src/protocol/sql-text.js'

export interface StatementKind {
  /** `begin` opens a transaction, `end` closes one; savepoints and all else are `none`. */
  readonly transaction: 'begin' | 'commit' | 'rollback' | 'none'
  /** Changes a setting for the statements after it, like SET. */
  readonly isSetting: boolean
  /** Makes something that only its own session sees: a temporary table, a cursor. */
  readonly isSessionBound: boolean
  /** Answers nothing but a count, so many of them may share a request without mixing up output. */
  readonly isQuiet: boolean
}

export function statementKind(text: string): StatementKind {
  const words = firstWords(text)
  const [first = '', second = ''] = words
  return {
    transaction: transactionStep(words),
    isSetting: isSetting(words),
    isSessionBound: first === 'declare' || (first === 'create' && isTemporary(words)),
    isQuiet: isQuiet(first, second) && !/\breturning\b/i.test(text),
  }
}

/** As many as the longest form below needs: CREATE GLOBAL TEMPORARY …, SELECT pg_catalog . set_config */
const wordsNeeded = 4

/** The first words in lower case; punctuation counts as a word, a quoted name ends the search. */
function firstWords(text: string): readonly string[] {
  const words: string[] = []
  for (let index = 0; index < text.length && words.length < wordsNeeded;) {
    const { kind, start, end } = tokenAt(text, index)
    index = end
    if (kind === 'space' || kind === 'comment') continue
    if (kind !== 'word' && kind !== 'punctuation') break
    words.push(text.slice(start, end).toLowerCase())
  }
  return words
}

function transactionStep(words: readonly string[]): StatementKind['transaction'] {
  const [first = '', second, third, fourth] = words
  switch (first) {
    case 'begin':
      return 'begin'
    case 'start':
      return second === 'transaction' ? 'begin' : 'none'
    case 'commit':
    case 'end':
      return second === 'prepared' || isChain([second, third, fourth]) ? 'none' : 'commit'
    case 'rollback':
    case 'abort':
      return isPartOfTransaction(second, third) || isChain([second, third, fourth])
        ? 'none'
        : 'rollback'
    default:
      return 'none'
  }
}

/** ROLLBACK TO a savepoint stays inside the transaction. */
function isPartOfTransaction(second: string | undefined, third: string | undefined): boolean {
  const afterNoise = second === 'work' || second === 'transaction' ? third : second
  return afterNoise === 'to' || afterNoise === 'prepared'
}

/** AND CHAIN opens the next transaction at once; AND NO CHAIN does not. */
function isChain(words: readonly (string | undefined)[]): boolean {
  const index = words.indexOf('and')
  return index >= 0 && words[index + 1] !== 'no'
}

function isSetting(words: readonly string[]): boolean {
  const [first, second, third, fourth] = words
  if (first === 'reset') return true
  if (first === 'set') return !['local', 'transaction', 'constraints'].includes(second ?? '')
  // pg_dump's way to empty the search path.
  return (
    first === 'select' && (second === 'set_config' || (third === '.' && fourth === 'set_config'))
  )
}

function isTemporary([, second = '', third = '']: readonly string[]): boolean {
  const scope = second === 'local' || second === 'global' ? third : second
  return scope === 'temp' || scope === 'temporary'
}

/** Statements that answer rows even without RETURNING are those that show something. */
function isQuiet(first: string, second: string): boolean {
  const showsKey = ['user', 'apikey'].includes(second)
  if (first === 'create' || first === 'alter' || first === 'drop') return !showsKey
  return quietWords.has(first)
}

const quietWords = new Set(
  'insert update delete merge comment grant revoke set reset truncate analyze refresh'.split(' '),
)
