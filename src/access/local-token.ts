/**
 * The token that lets whoever may read this server's files act as `root`. No request is trusted
 * for where it comes from: a proxy on this machine would make the whole world local.
 */
import { randomUUID, timingSafeEqual } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  digestOf,
  randomKey,
  scramKeys,
  type RandomBytes,
  type ScramKeys,
} from '../catalog/api-key.js'

export interface LocalTokenOptions {
  /** `server.data_dir`; it is there already. */
  readonly dataDir: string
  readonly random: RandomBytes
}

/** Writes a new token to `<data_dir>/admin.token`. Close it to take the token away. */
export async function openLocalToken({ dataDir, random }: LocalTokenOptions): Promise<LocalToken> {
  const token = randomKey(random)
  const path = dataDirPath(dataDir)
  await writePrivately(path, token)
  return new LocalToken(token, path)
}

/** Removes the token of a server that ended without closing, for when there is to be none. */
export async function removeLocalToken(dataDir: string): Promise<void> {
  await rm(dataDirPath(dataDir), { force: true })
}

function dataDirPath(dataDir: string): string {
  return join(dataDir, 'admin.token')
}

/** A token as long as its server runs. Made by `openLocalToken`. */
export class LocalToken {
  readonly #token: string
  readonly #digest: Uint8Array
  readonly #paths: string[]

  constructor(token: string, path: string) {
    this.#token = token
    this.#digest = digestOf(token)
    this.#paths = [path]
  }

  /** Whether this is the SHA-256 digest of the token. */
  accepts(digest: Uint8Array): boolean {
    return timingSafeEqual(digest, this.#digest)
  }

  /** What tells its owner on the Postgres wire, where keys are not shown. */
  scramKeys(salt: Uint8Array): Promise<ScramKeys> {
    return scramKeys(this.#token, salt)
  }

  /**
   * Writes the token to `<home>/.kalam/servers/<port>.token`, where the CLI looks for it. Throws
   * what the file system does when the home cannot be written; the token works nevertheless.
   */
  async announce({ home, port }: { readonly home: string; readonly port: number }): Promise<void> {
    const folder = join(home, '.kalam', 'servers')
    const path = join(folder, `${port}.token`)
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await writePrivately(path, this.#token)
    this.#paths.push(path)
  }

  /** Removes the files, unless another server has written its own token there. Safe twice. */
  async close(): Promise<void> {
    for (const path of this.#paths.splice(0)) {
      const written = await readFile(path, 'utf8').catch(() => '')
      if (written === this.#token) await rm(path, { force: true })
    }
  }
}

/** Whole or not at all, and never readable by others, not even for a moment. */
async function writePrivately(path: string, token: string): Promise<void> {
  const temporary = `${path}.${randomUUID()}`
  try {
    await writeFile(temporary, token, { mode: 0o600, flag: 'wx' })
    await rename(temporary, path)
  } finally {
    await rm(temporary, { force: true })
  }
}
