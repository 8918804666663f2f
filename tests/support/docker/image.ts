/** The image, built of this checkout by the engine that the tests found. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { GenericContainer } from 'testcontainers'

export const repository = fileURLToPath(new URL('../../..', import.meta.url))
/** Another one for each checkout: the engine is the machine's. */
export const imageName = `kalamdb:test-${createHash('sha256').update(repository).digest('hex').slice(0, 8)}`

/** What tests leave when they are killed: `docker ps --all --filter label=kalamdb.test`. */
export const labels = { 'kalamdb.test': 'true' }

export async function buildImage(): Promise<void> {
  await GenericContainer.fromDockerfile(repository).build(imageName, { deleteOnExit: false })
}

export interface Outcome {
  readonly exit: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs the command line of Docker; what it says is the outcome, whatever that is. */
export async function docker(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const options = { cwd: repository, env: { ...process.env, ...env } }
  try {
    return { exit: 0, ...(await promisify(execFile)('docker', args, options)) }
  } catch (error) {
    // What execFile rejects with, if the program ran and ended with another code than 0.
    const { code, stdout, stderr } = error as { code: unknown; stdout: string; stderr: string }
    if (typeof code !== 'number') throw error
    return { exit: code, stdout, stderr }
  }
}

/** Runs the image until it ends by itself. Variables may hold what no command line could. */
export function runToEnd(
  variables: Readonly<Record<string, string>>,
  options: readonly string[] = [],
): Promise<Outcome> {
  const given = Object.keys(variables).flatMap((name) => ['--env', name])
  return docker(['run', '--rm', '--label', 'kalamdb.test', ...given, ...options, imageName], {
    ...variables,
  })
}
