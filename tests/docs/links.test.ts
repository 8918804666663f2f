/** What the pages point at is there: files, headings, and paths of the repository in `code`. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const pages = ['.', 'docs', 'docs/adr'].flatMap((folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name)),
)

describe.each(pages)('%s', (page) => {
  const text = readFileSync(join(root, page), 'utf8')

  test('links to files and headings that are there', () => {
    const links = Array.from(text.matchAll(/\]\((?!https?:)([^)]*)\)/gu), ([, link = '']) => link)
    expect(links.filter((link) => !isThere(page, link))).toEqual([])
  })

  test('names folders and files that are there', () => {
    const names = Array.from(
      text.matchAll(/`((?:src|cli|tests|docs|bench|scripts)\/[\w./-]+)`/gu),
      ([, name = '']) => name,
    )
    expect(names.filter((name) => !exists(name))).toEqual([])
  })
})

function isThere(page: string, link: string): boolean {
  const [path = '', heading] = link.split('#')
  const file = path === '' ? page : join(dirname(page), path)
  if (!existsSync(join(root, file))) return false
  return heading === undefined || headingsOf(file).includes(heading)
}

/** As GitHub makes them. */
function headingsOf(file: string): string[] {
  const lines = readFileSync(join(root, file), 'utf8').matchAll(/^#+ (.+)$/gmu)
  return Array.from(lines, ([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\w\s-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

/** Rooms of one file are named without `.ts`. */
function exists(name: string): boolean {
  return existsSync(join(root, name)) || existsSync(join(root, `${name}.ts`))
}
