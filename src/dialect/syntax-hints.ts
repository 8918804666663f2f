/** What to write instead, for mistakes that people bring from other databases. */

interface KnownMistake {
  /** Matched against the text from the error's place on. */
  readonly at?: RegExp
  /** Matched against the text before it. */
  readonly after?: RegExp
  /** Matched against what PostgreSQL said. */
  readonly message?: RegExp
  readonly hint: string
}

const knownMistakes: readonly KnownMistake[] = [
  { at: /^`/, hint: 'Quote names with double quotes: "name".' },
  { at: /^[“”„‘’]/, hint: 'These are typographic quotes; use \' for text and " for names.' },
  { after: /\?\s*$/, hint: 'Parameters are written $1, $2, ….' },
  { at: /^auto_?increment\b/i, hint: 'Use GENERATED ALWAYS AS IDENTITY.' },
  { at: /^duplicate\s+key/i, hint: 'Use ON CONFLICT (…) DO UPDATE SET ….' },
  { at: /^use\b/i, hint: 'Give the namespace with the request, or write namespace.table.' },
  { at: /^(?:describe|desc)\b/i, hint: 'Use DESCRIBE [TABLE] namespace.table.' },
  { at: /^limit\b|^,/i, message: /LIMIT #,#/, hint: 'Use LIMIT count OFFSET start.' },
  { at: /^[\s;]*$/, message: /end of input/, hint: 'The statement is not complete.' },
  { message: /^unterminated quoted string/, hint: "A ' inside text is written twice: 'it''s'." },
  { message: /^unterminated quoted identifier/, hint: 'A name is missing its closing ".' },
  { message: /^unterminated dollar-quoted/, hint: 'The closing $…$ must repeat the opening one.' },
  { message: /^unterminated \/\* comment/, hint: 'Comments nest: each /* needs its own */.' },
  { message: /^memory exhausted/, hint: 'The statement nests too deeply.' },
]

/** A hint for a syntax error at this index of the text, if the mistake is a known one. */
export function syntaxHint(message: string, text: string, index: number): string | undefined {
  const rest = text.slice(index)
  const before = text.slice(Math.max(0, index - lookBehind), index)
  const isKnown = ({ at, after, message: said }: KnownMistake) =>
    (at?.test(rest) ?? true) && (after?.test(before) ?? true) && (said?.test(message) ?? true)
  return knownMistakes.find(isKnown)?.hint
}

/** UTF-16 units before the mistake that a pattern may look at. */
const lookBehind = 20
