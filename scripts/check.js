// What no test says: format, lint, types. Side by side, as each uses one core.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const checks = [
  [['eslint/bin/eslint.js', '.']],
  [
    ['prettier/bin/prettier.cjs', '--check', '.'],
    ['typescript/bin/tsc', '-p', 'tsconfig.tests.json', '--noEmit'],
    ['vue-tsc/bin/vue-tsc.js', '-p', 'examples/simple-typescript', '--noEmit'],
  ],
]

const outcomes = await Promise.all(checks.map(runAll))
process.exitCode = outcomes.every((isWell) => isWell) ? 0 : 1

async function runAll(scripts) {
  let isWell = true
  for (const [script, ...args] of scripts) isWell = (await run(script, args)) && isWell
  return isWell
}

function run(script, args) {
  const path = fileURLToPath(new URL(`../node_modules/${script}`, import.meta.url))
  const child = spawn(process.execPath, [path, ...args], { cwd: root, stdio: 'inherit' })
  return new Promise((resolve) => child.on('exit', (code) => resolve(code === 0)))
}
