/** Writes results to the terminal or a pipe, in the format that was asked for. */
import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { formatCsv } from './csv-format.js'
import type { OutputFormat } from './output-format.js'
import type { StatementResult } from './server-connection.js'
import { formatTable } from './table-format.js'

export interface PrinterOptions {
  readonly format: OutputFormat
  readonly output: Writable
  readonly isExpanded: boolean
  /** Leaves out what statements without rows say of themselves: `INSERT 3`. */
  readonly isQuiet: boolean
}

export class ResultPrinter {
  readonly #options: PrinterOptions
  #count = 0
  #isInterrupted = false

  constructor(options: PrinterOptions) {
    this.#options = options
  }

  /** The shape of rows that this format is made from. */
  get rowShape(): 'object' | 'array' {
    return this.#options.format === 'json' ? 'object' : 'array'
  }

  /** Writes one result; resolves when a slow reader has taken it. */
  async print(result: StatementResult): Promise<void> {
    const { format, isExpanded, isQuiet } = this.#options
    switch (format) {
      case 'table':
        if (isQuiet && result.columns.length === 0) return
        return this.#write(
          formatTable(result, { isExpanded }) + (result.columns.length > 0 ? '\n' : ''),
        )
      case 'csv':
        return this.#printCsv(result)
      case 'json':
        this.#count += 1
        return this.#write(`${this.#count === 1 ? '[' : ',\n '}${result.source}`)
    }
  }

  /** Completes the JSON document: a list with one element for each statement. */
  async end(): Promise<void> {
    if (this.#options.format !== 'json') return
    if (this.#count > 0) await this.#write(']\n')
    else if (!this.#isInterrupted) await this.#write('[]\n')
    this.#count = 0
  }

  /** Ends the document, for something else is written now; what follows begins another. */
  async interrupt(): Promise<void> {
    if (this.#count > 0) await this.end()
    this.#isInterrupted = true
  }

  /** An empty line stands between two results. */
  async #printCsv(result: StatementResult): Promise<void> {
    const text = formatCsv(result)
    if (text === '') return
    await this.#write(this.#count === 0 ? text : `\r\n${text}`)
    this.#count += 1
  }

  async #write(text: string): Promise<void> {
    const { output } = this.#options
    if (!output.write(text) && !output.destroyed) await once(output, 'drain')
  }
}
