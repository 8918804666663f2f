// Leaves of node_modules what the server and the command line run with: 46 MB of 218.
// `npm ci --omit=dev` also installs optional peers (vue, typescript), every platform's binaries,
// declarations and source maps.
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const packages = join(root, 'node_modules')

/** Of any package: what tells people, compilers and debuggers about it. Licences stay. */
const needless = [
  /\.(?:map|md|html|pdf|flow|tsbuildinfo|[cm]?ts)$/u,
  /node_modules\/(?:@[^/]+\/)?[^/]+\/(?:docs|examples?|tests?|benchmarks?)\//u,
  // The builds of rxjs that Node does not choose.
  /\/rxjs\/dist\/(?:bundles|esm5?|types)\//u,
  // The stand-in of uWebSockets.js has copies of the binaries, and never loads them.
  /\/uWebSockets\.js\/dist\/.*\.node$/u,
]
const { platform, arch, versions } = process
const binary = `uws_${platform}_${arch}_${versions.modules}.node`

const kept = reached([root, join(root, 'cli')])
for (const folder of packageFolders(packages))
  if (!kept.has(folder)) rmSync(folder, { recursive: true, force: true })
for (const path of filesOf(packages)) if (isNeedless(path)) rmSync(path)
if (!existsSync(join(packages, 'uWebSockets.js/binaries', binary)))
  console.log(`there is no ${binary}: HTTP will be served by the stand-in of uWebSockets.js`)

function isNeedless(path) {
  if (path.includes('/uWebSockets.js/binaries/')) return basename(path) !== binary
  if (path.includes('/prebuilds/')) return !path.includes(`/prebuilds/${platform}-${arch}/`)
  return needless.some((pattern) => pattern.test(path))
}

/** Folders of all packages that these depend on; peers are the caller's. */
function reached(folders) {
  const found = new Set()
  const visit = (folder) => {
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    for (const name of Object.keys({
      ...manifest.dependencies,
      ...manifest.optionalDependencies,
    })) {
      const next = resolve(name, folder)
      if (next === undefined || found.has(next)) continue
      found.add(next)
      visit(next)
    }
  }
  folders.forEach(visit)
  return found
}

/** As Node looks for it, from the folder of who asks upwards. */
function resolve(name, from) {
  const folder = join(from, 'node_modules', name)
  if (existsSync(folder)) return folder
  return from === root ? undefined : resolve(name, dirname(from))
}

function packageFolders(folder) {
  return entriesOf(folder).flatMap(({ name }) => {
    const path = join(folder, name)
    if (name.startsWith('@')) return packageFolders(path)
    const inner = join(path, 'node_modules')
    return [path, ...(existsSync(inner) ? packageFolders(inner) : [])]
  })
}

function filesOf(folder) {
  return entriesOf(folder).flatMap((entry) => {
    const path = join(folder, entry.name)
    return entry.isDirectory() ? filesOf(path) : [path]
  })
}

function entriesOf(folder) {
  return readdirSync(folder, { withFileTypes: true })
}
