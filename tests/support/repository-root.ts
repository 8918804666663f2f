import { existsSync } from 'node:fs'

/** The folder of package.json: benches run a copy of this file in dist, one folder further down. */
export const repositoryRoot = findRoot()

function findRoot(): URL {
  const folders = ['../../', '../../../'].map((path) => new URL(path, import.meta.url))
  const root = folders.find((folder) => existsSync(new URL('package.json', folder)))
  if (root === undefined) throw new Error('assertion failed: this file is two folders down')
  return root
}
