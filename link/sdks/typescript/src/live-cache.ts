/** Where texts outlive the program: rows of live queries. No method throws; what fails is not kept. */
export interface LiveCache {
  read(name: string): string | undefined
  write(name: string, text: string): void
}

/** What is used of `localStorage`. */
export interface StorageLike {
  getItem(name: string): string | null
  setItem(name: string, text: string): void
  removeItem(name: string): void
}

export interface StorageCacheOptions {
  /** Usually `localStorage`. */
  readonly storage?: StorageLike
  /** Longer texts are not kept. Browsers give a site about five million characters. */
  readonly charactersMax?: number
  /** Names in the storage begin with it. */
  readonly prefix?: string
}

/**
 * Keeps rows in localStorage, to be shown at once when the app starts again, before the server has
 * answered. Where the storage is full or off, nothing is kept, and all else works.
 */
export function storageCache(options: StorageCacheOptions = {}): LiveCache {
  const { charactersMax = 1_000_000, prefix = 'kalam:' } = options
  const attempt = <T>(work: (storage: StorageLike) => T): T | undefined => {
    try {
      // To name it may be forbidden too.
      return work(options.storage ?? localStorage)
    } catch {
      return undefined
    }
  }
  return {
    read: (name) => attempt((storage) => storage.getItem(prefix + name)) ?? undefined,
    write: (name, text) => {
      // An old text is no better than none: it would be shown for what it is not any more.
      attempt((storage) => storage.removeItem(prefix + name))
      if (text.length <= charactersMax) attempt((storage) => storage.setItem(prefix + name, text))
    },
  }
}
