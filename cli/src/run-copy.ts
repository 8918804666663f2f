/** Carries the data of COPY between the server and standard input and output, or a file. */
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Readable, Writable } from 'node:stream'
import type { FoundStatement } from '../../src/protocol/sql-text.js'
import type { CopyTask } from './copy-statement.js'
import { CliError } from './exit-code.js'
import type { Reply, ServerConnection } from './server-connection.js'
import type { SqlFailure, SqlSession } from './sql-session.js'
import { fileFailure } from './sql-input.js'
import type { Surroundings } from './surroundings.js'

export interface CopyOptions {
  readonly connection: ServerConnection
  readonly surroundings: Surroundings
  readonly isQuiet: boolean
  readonly signal?: AbortSignal | undefined
}

/**
 * Runs one COPY. Throws CliError: `fileFailed`; `notConnected` also where the data breaks off, and
 * then what was written is not all.
 */
export async function runCopy(
  task: CopyTask,
  place: FoundStatement,
  session: SqlSession,
  options: CopyOptions,
): Promise<SqlFailure | undefined> {
  const statement = { ...place, text: task.sql }
  if (task.direction === 'to')
    return session.copy(statement, (sql) => copyOut(sql, task.file, options))
  const data = await openData(task.file, options.surroundings)
  try {
    return await session.copy(statement, (sql) =>
      options.connection.copyIn(sql, data, options.signal),
    )
  } finally {
    // Standard input stays open: it is not ours.
    if (task.file !== undefined) data.destroy()
  }
}

async function openData(file: string | undefined, { stdin }: Surroundings): Promise<Readable> {
  if (file === undefined) return stdin
  try {
    const handle = await open(file)
    if ((await handle.stat()).isDirectory()) {
      await handle.close()
      throw Object.assign(new Error('it is a folder'), { code: 'EISDIR' })
    }
    return handle.createReadStream()
  } catch (cause) {
    throw fileFailure('read', file, cause)
  }
}

/** A file is opened when there is data: what fails before leaves it as it was. */
async function copyOut(
  sql: string,
  file: string | undefined,
  { connection, surroundings, isQuiet, signal }: CopyOptions,
): Promise<Reply> {
  const answer = await connection.copyOut(sql, signal)
  if (answer.kind === 'error') return answer
  const output = file === undefined ? surroundings.stdout : createWriteStream(file)
  const bytes = await writeAll(answer.data, output, file)
  if (file !== undefined && !isQuiet) surroundings.stderr.write(`${bytes} bytes to ${file}\n`)
  return { kind: 'results', results: [] }
}

async function writeAll(
  data: AsyncIterable<Uint8Array>,
  output: Writable,
  file: string | undefined,
): Promise<number> {
  const failing = new Promise<never>((_resolve, reject) => {
    // A closed standard output is main.ts's to handle.
    if (file !== undefined) output.on('error', (cause) => reject(fileFailure('write', file, cause)))
  })
  const writing = async (): Promise<number> => {
    let bytes = 0
    for await (const piece of data) {
      bytes += piece.length
      if (!output.write(piece) && !output.destroyed) await once(output, 'drain')
    }
    if (file !== undefined) await new Promise<void>((resolve) => output.end(() => resolve()))
    return bytes
  }
  try {
    return await Promise.race([writing(), failing])
  } finally {
    if (file !== undefined) output.destroy()
  }
}

/** What a terminal or a file of SQL cannot give. */
export function refuseData(): CliError {
  return new CliError(
    'usage',
    'COPY … FROM STDIN reads standard input, so it goes behind -c: ' +
      `kalam -c "COPY … FROM STDIN" < file\n\\copy … from 'file' reads a file`,
  )
}
