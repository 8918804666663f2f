import type { Extensions } from '@electric-sql/pglite'
import { availableExtensions, type ExtensionName } from './extension-names.js'

/** PGlite's bundles for these names; PostgreSQL knows an extension only if it was loaded at start. */
export async function loadExtensions(names: readonly string[]): Promise<Extensions> {
  const loaded: Extensions = {}
  for (const name of names) {
    const source = availableExtensions[name as ExtensionName]
    const module = (await import(source.module)) as Readonly<Record<string, Extensions[string]>>
    const extension = module[source.export]
    if (extension === undefined)
      throw new Error(`${source.module} does not export ${source.export}`)
    loaded[name] = extension
  }
  return loaded
}
