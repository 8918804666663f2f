import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that take over 15 s. Vitest would begin with the largest, and these few lines last. */
const longest = [
  'docker/image',
  'integration/other-nodes',
  'isolation/managed-escapes',
  'crash/power-loss',
  'crash/kill',
  'integration/cli',
  'integration/cli-shell',
  'isolation/escapes',
  'integration/managed-semantics',
  'integration/subscribe-restarts',
  'integration/engine/data-folder',
  'integration/engine/upkeep',
  'example/todo-app',
  'isolation/neighbours',
]

/** Begins with the files that take longest, so that no worker is left with one of them at the end. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const isLong = ({ moduleId }: TestSpecification) =>
      longest.some((name) => moduleId.endsWith(`/tests/${name}.test.ts`))
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))]
  }
}
