import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'
import { LongestFirst } from './tests/support/longest-first.js'

/** They measure the memory of their process, or fill its stack, which is smaller than a thread's. */
const ownProcess = [
  'tests/fuzz/http.test.ts',
  'tests/fuzz/socket.test.ts',
  'tests/fuzz/wire.test.ts',
  'tests/integration/copy-large.test.ts',
  'tests/integration/http-slow-reader.test.ts',
  'tests/unit/dialect/open-dialect.test.ts',
]
/** The HTTP server that takes uWebSockets.js's place where its binary does not load: other Node versions, other machines. */
const onFallback = { UWS_USE_FALLBACK: '1' }

const engineIsHere = !/^(?:tcp|ssh):/u.test(process.env['DOCKER_HOST'] ?? '')

export default defineConfig({
  test: {
    // Engines are real: the first start of one takes seconds, on a loaded machine tens of them.
    testTimeout: 120_000,
    hookTimeout: 240_000,
    // What is waited for comes at once on a free machine; vitest's own second is none on a busy one.
    expect: { poll: { timeout: 20_000 } },
    // In one process the engines of all files share PGlite's compiled code (global-setup.ts).
    pool: 'threads',
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    globalSetup: ['tests/support/global-setup.ts'],
    projects: [
      {
        extends: true,
        test: {
          name: 'main',
          include: ['tests/**/*.test.ts', 'link/sdks/*/tests/**/*.test.ts'],
          exclude: ['tests/long/**', 'tests/docker/**', ...ownProcess],
        },
      },
      {
        extends: true,
        test: { name: 'main-process', include: ownProcess, pool: 'forks' },
      },
      {
        // The contract again.
        extends: true,
        test: {
          name: 'fallback',
          include: ['tests/contract/**/*.test.ts', 'tests/integration/http-door.test.ts'],
          env: onFallback,
        },
      },
      {
        extends: true,
        test: {
          name: 'fallback-process',
          include: ['tests/fuzz/socket.test.ts', 'tests/integration/http-slow-reader.test.ts'],
          pool: 'forks',
          env: onFallback,
        },
      },
      {
        // The image, where there is a Docker engine.
        extends: true,
        test: {
          name: 'docker',
          include: ['tests/docker/**/*.test.ts'],
          globalSetup: ['tests/docker/find-engine.ts'],
          // One image, and containers that mostly wait, side by side.
          testTimeout: 180_000,
          maxConcurrency: 8,
          env: {
            // Its image would have to be pulled.
            TESTCONTAINERS_RYUK_DISABLED: 'true',
            // A machine that has /.dockerenv may have the engine all the same.
            ...(engineIsHere ? { TESTCONTAINERS_HOST_OVERRIDE: '127.0.0.1' } : {}),
          },
        },
      },
      {
        // The example's components, in a page that is only simulated.
        extends: true,
        plugins: [vue()],
        test: {
          name: 'example',
          include: ['examples/*/tests/**/*.test.ts'],
          environment: 'happy-dom',
          environmentOptions: {
            happyDOM: { settings: { fetch: { disableSameOriginPolicy: true } } },
          },
        },
      },
    ],
  },
})
