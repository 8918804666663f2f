// The tests whose cases are counted, with more of them: kills, power cuts, malformed requests,
// random values. A variable that is set already stands; arguments go to vitest in place of the files.
import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { fileURLToPath } from 'node:url'

const root = new URL('..', import.meta.url)

/** CONTRIBUTING.md states these and those of a usual run. */
const counts = {
  KALAM_TEST_KILL_CYCLES: '100',
  KALAM_TEST_POWER_CYCLES: '16',
  KALAM_TEST_FUZZ_REQUESTS: '100000',
  KALAM_TEST_FUZZ_FRAMES: '100000',
  KALAM_TEST_FUZZ_WIRE: '100000',
  KALAM_TEST_LINK_FRAMES: '500000',
  KALAM_TEST_LIVE_CASES: '20000',
  KALAM_TEST_PROPERTY_FACTOR: '100',
  KALAM_TEST_DIFFERENTIAL_FACTOR: '20',
  KALAM_TEST_NEIGHBOUR_REQUESTS: '2500',
  KALAM_TEST_WIRE_MB: '500',
  KALAM_TEST_FILE_MINUTES: '120',
}
const KALAM_TEST_SEED = String(randomInt(2 ** 31))
const files = [
  ...['tests/crash', 'tests/property', 'tests/fuzz', 'tests/link', 'tests/integration/live'],
  ...['tests/integration/managed-semantics.test.ts', 'tests/isolation/neighbours.test.ts'],
  ...['tests/integration/copy-large.test.ts', 'tests/wire/like-native.test.ts'],
]
/** For tests that bring no deadline of their own: those of properties. */
const testTimeoutMs = 1_800_000

const env = { ...counts, KALAM_TEST_SEED, ...process.env }
const given = process.argv.slice(2)
const args = ['run', `--testTimeout=${testTimeoutMs}`, ...(given.length > 0 ? given : files)]

console.log(`vitest ${args.join(' ')}`)
for (const name of [...Object.keys(counts), 'KALAM_TEST_SEED'])
  console.log(`  ${name}=${env[name]}`)
run('scripts/build.js', [])
run('node_modules/vitest/vitest.mjs', args)

function run(script, scriptArgs) {
  const path = fileURLToPath(new URL(script, root))
  const { status } = spawnSync(process.execPath, [path, ...scriptArgs], {
    ...{ cwd: root, env, stdio: 'inherit' },
  })
  if (status !== 0) process.exit(status ?? 1)
}
