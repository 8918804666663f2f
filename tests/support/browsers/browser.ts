/**
 * Real browsers for tests, as Debian packages them: Chromium over playwright-core, Firefox over
 * WebDriver BiDi, WebKitGTK over WebKitWebDriver. One page each, headless.
 */
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Browser as ChromiumBrowser } from 'playwright-core'
import { launchChromium, openChromium } from './chromium.js'
import { openFirefox } from './firefox.js'
import { openWebKit } from './webkit.js'

export interface Browser extends AsyncDisposable {
  /** `Firefox 153.7.0`. */
  readonly name: string
  /** Shows that page in place of the one before. */
  open(url: string): Promise<void>
  /** Evaluates JavaScript in the page, waits for it if it is a promise, and gives its JSON. */
  evaluate(expression: string): Promise<unknown>
  /** What the page looks like: a PNG. */
  screenshot(): Promise<Uint8Array>
  close(): Promise<void>
}

export const engines = ['chromium', 'firefox', 'webkit'] as const

export type Engine = (typeof engines)[number]

interface Kind {
  /** Debian's packages of it. */
  readonly packages: string
  /** All of them are needed. */
  readonly binaries: readonly string[]
  readonly open: (binaries: readonly string[]) => Promise<Browser>
}

const kinds: Readonly<Record<Engine, Kind>> = {
  chromium: { packages: 'chromium', binaries: ['chromium'], open: openChromium },
  firefox: { packages: 'firefox-esr', binaries: ['firefox-esr'], open: openFirefox },
  webkit: {
    packages: 'webkit2gtk-driver xvfb',
    binaries: ['WebKitWebDriver', 'Xvfb'],
    open: openWebKit,
  },
}

/**
 * Why there is none to open, in one line; `undefined` when there is. With `CI` set a missing one
 * is not excused: opening it then fails, and with it the test.
 */
export function browserMissing(engine: Engine): string | undefined {
  if (process.env['CI'] !== undefined || findBinaries(engine) !== undefined) return undefined
  return `no ${engine} on this machine (Debian: apt-get install ${kinds[engine].packages})`
}

/** Starts one. The caller closes it. */
export function openBrowser(engine: Engine): Promise<Browser> {
  return kinds[engine].open(binariesOf(engine))
}

/** Starts Chromium for tests of several tabs, with all that playwright can do to them. */
export function openTabs(): Promise<ChromiumBrowser> {
  return launchChromium(binariesOf('chromium'))
}

function binariesOf(engine: Engine): readonly string[] {
  const binaries = findBinaries(engine)
  const { packages } = kinds[engine]
  if (binaries === undefined) throw new Error(`no ${engine}; install the packages ${packages}`)
  return binaries
}

/** Paths of what it takes, in the order of the table; undefined: something is missing. */
function findBinaries(engine: Engine): readonly string[] | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  const found = kinds[engine].binaries.map((name) =>
    folders.map((folder) => join(folder, name)).find((path) => existsSync(path)),
  )
  return found.every((path) => path !== undefined) ? found : undefined
}
