/** Rows of a live query, as the server wrote them: what it takes to go on from there. */
export interface KeptRows {
  /** JSON of a list of lists. */
  readonly rows: string
  readonly cursor: string
  readonly columns: string
  readonly key: string
  readonly isOrdered: boolean
}

/** Where rows outlive the program. Neither method throws; what fails is not kept. */
export interface LiveCache {
  read(name: string): KeptRows | undefined
  write(name: string, kept: KeptRows): void
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
    read: (name) =>
      attempt((storage) => {
        const text = storage.getItem(prefix + name) ?? ''
        const headEnd = text.indexOf('\n')
        // Ours; what else stands there is not what a live query takes.
        const head = JSON.parse(text.slice(0, headEnd)) as Omit<KeptRows, 'rows'>
        return { ...head, rows: text.slice(headEnd + 1) }
      }),
    write: (name, { rows, ...head }) => {
      const text = `${JSON.stringify(head)}\n${rows}`
      // An old text is no better than none: it would be shown for what it is not any more.
      attempt((storage) => storage.removeItem(prefix + name))
      if (text.length <= charactersMax) attempt((storage) => storage.setItem(prefix + name, text))
    },
  }
}
