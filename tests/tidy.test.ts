/**
 * The architecture as a test: which room may import which, which room is the one door to each
 * package, and no cycles. The table is that of ARCHITECTURE.md.
 */
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Room → rooms it may import. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  'src/protocol': [],
  'src/errors': ['src/protocol'],
  'src/config': ['src/errors'],
  'src/telemetry': ['src/config'],
  'src/engine': ['src/errors', 'src/config', 'src/telemetry', 'src/protocol'],
  'src/dialect': ['src/errors', 'src/protocol'],
  'src/catalog': ['src/engine', 'src/dialect', 'src/errors', 'src/config'],
  'src/access': ['src/catalog', 'src/errors', 'src/config', 'src/engine', 'src/dialect'],
  'src/changes': ['src/engine', 'src/errors', 'src/protocol'],
  'src/live': ['src/changes', 'src/dialect', 'src/engine', 'src/errors', 'src/protocol'],
  'src/database': [
    'src/live',
    'src/changes',
    'src/access',
    'src/catalog',
    'src/dialect',
    'src/engine',
    'src/errors',
    'src/config',
    'src/telemetry',
    'src/protocol',
  ],
  'src/http': ['src/database', 'src/protocol', 'src/errors', 'src/config', 'src/telemetry'],
  'src/server': [
    'src/http',
    'src/database',
    'src/live',
    'src/changes',
    'src/access',
    'src/catalog',
    'src/dialect',
    'src/engine',
    'src/errors',
    'src/config',
    'src/telemetry',
  ],
  'adapters/neon': ['src/database', 'src/protocol', 'src/errors', 'src/config', 'src/telemetry'],
  'adapters/postgres': [
    'src/database',
    'src/protocol',
    'src/errors',
    'src/config',
    'src/telemetry',
  ],
  'adapters/adapters': ['adapters/neon', 'adapters/postgres', 'src/database'],
  'link/core': [],
  'link/sdks': [],
  cli: ['src/server', 'adapters/adapters', 'src/config', 'src/errors', 'src/protocol', 'link/sdks'],
}

/** Package → the rooms that may name it. */
const doors: Readonly<Record<string, readonly string[]>> = {
  '@electric-sql/pglite': ['src/engine'],
  '@electric-sql/pglite/nodefs': ['src/engine'],
  'libpg-query': ['src/dialect'],
  'uWebSockets.js': ['src/http'],
  ws: ['src/http', 'cli'],
  'smol-toml': ['src/config', 'cli'],
  'lossless-json': ['src/http', 'src/database'],
  'lru-cache': ['src/engine', 'src/dialect', 'src/access'],
  rxjs: ['src/changes', 'src/live', 'src/database', 'link/sdks'],
  vue: ['link/sdks'],
  pinia: ['link/sdks'],
  react: ['link/sdks'],
  'kalam-link': ['cli'],
  'kalam-link/feed': ['cli'],
  'string-width': ['cli'],
  commander: ['cli'],
  'pg-protocol/dist/buffer-writer.js': ['adapters/postgres'],
  'pg-server/protocol/commands.js': ['adapters/postgres'],
  'pg-server/protocol/response-writer.js': ['adapters/postgres'],
  'pg-server/protocol/responses.js': ['adapters/postgres'],
  pino: ['src/telemetry'],
  'prom-client': ['src/telemetry'],
  zod: ['src/config'],
}

interface SourceFile {
  /** From the repository's root: `src/engine/engine.ts`. */
  readonly path: string
  readonly room: string
  readonly imports: readonly string[]
  readonly faults: readonly string[]
}

const files = ['src', 'adapters', 'cli/src', 'link/sdks/typescript/src', 'link/core/assembly']
  .flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((path) =>
      join(folder, path),
    ),
  )
  // Declarations say what others have.
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'))
  .map(readSource)

test('every file stands in a room of the table', () => {
  expect(files.length).toBeGreaterThan(50)
  expect(files.filter(({ room }) => !(room in mayImport)).map(({ path }) => path)).toEqual([])
})

describe.each(Object.entries(mayImport))('%s', (room, allowed) => {
  const own = files.filter((file) => file.room === room)

  test('has files', () => {
    expect(own).not.toEqual([])
  })

  test('imports only the rooms below it', () => {
    const wrong = own.flatMap(({ path, imports }) =>
      imports
        .filter((target) => target.startsWith('.'))
        .map((target) => roomOf(resolved(path, target)))
        .filter((target) => target !== room && !allowed.includes(target))
        .map((target) => `${path} → ${target}`),
    )
    expect(wrong).toEqual([])
  })

  test('names only packages whose door it is', () => {
    const wrong = own.flatMap(({ path, imports }) =>
      imports
        .filter((target) => !target.startsWith('.') && !target.startsWith('node:'))
        .filter((target) => !(doors[target] ?? []).includes(room))
        .map((target) => `${path} → ${target}`),
    )
    expect(wrong).toEqual([])
  })
})

test('ARCHITECTURE.md has this table of rooms', () => {
  const page = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8')
  const rows = page.matchAll(/^\| `([^`]+)` +\|[^|]+\|([^|]+)\|$/gmu)
  const table = Array.from(rows, ([, room = '', names = '']): [string, string[]] => [
    room,
    Array.from(names.matchAll(/[\w/]+/gu), ([name]) =>
      /^(?:link|adapters)\//u.test(name) ? name : `src/${name}`,
    ),
  ])
  expect(Object.fromEntries(table)).toEqual(mayImport)
})

test('no imports in a circle', () => {
  expect(findCycles()).toEqual([])
})

test('no default exports, no export *, no any', () => {
  expect(files.flatMap(({ faults }) => faults)).toEqual([])
})

function readSource(path: string): SourceFile {
  const source = ts.createSourceFile(
    path,
    readFileSync(join(root, path), 'utf8'),
    ts.ScriptTarget.Latest,
    true,
  )
  const imports: string[] = []
  const faults: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
      const target = node.moduleSpecifier
      if (target !== undefined && ts.isStringLiteral(target)) imports.push(target.text)
    }
    const fault = faultOf(node)
    if (fault !== undefined) {
      const { line } = source.getLineAndCharacterOfPosition(node.getStart())
      faults.push(`${path}:${line + 1}: ${fault}`)
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return { path, room: roomOf(path), imports, faults }
}

function faultOf(node: ts.Node): string | undefined {
  if (node.kind === ts.SyntaxKind.AnyKeyword) return 'any'
  if (node.kind === ts.SyntaxKind.DefaultKeyword && !ts.isDefaultClause(node.parent))
    return 'default export'
  if (ts.isExportAssignment(node)) return 'default export'
  if (ts.isExportDeclaration(node) && node.exportClause === undefined) return 'export *'
  return undefined
}

/** `src/engine/pglite/backend.ts` → `src/engine`; `src/errors.ts` → `src/errors`; `cli/src/…` → `cli`; `link/sdks/…` → `link/sdks`. */
function roomOf(path: string): string {
  const [top = '', next = ''] = path.replace(/\.(ts|js)$/, '').split('/')
  return top === 'cli' ? top : `${top}/${next}`
}

function resolved(from: string, target: string): string {
  return relative('.', normalize(join(dirname(from), target)))
}

function findCycles(): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const done = new Set<string>()
  const cycles: string[] = []
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(' → '))
    if (done.has(path) || trail.includes(path)) return
    for (const target of byPath.get(path)?.imports ?? [])
      if (target.startsWith('.'))
        // AssemblyScript names files without an ending.
        visit(`${resolved(path, target).replace(/\.js$/, '')}.ts`, [...trail, path])
    done.add(path)
  }
  for (const { path } of files) visit(path, [])
  return cycles
}
