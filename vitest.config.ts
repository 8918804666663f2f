import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    // Engines are real: the first start of one takes seconds on a loaded two-core machine.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 2,
    globalSetup: ['tests/support/global-setup.ts'],
    projects: [
      {
        extends: true,
        test: {
          name: 'main',
          include: ['tests/**/*.test.ts', 'link/sdks/*/tests/**/*.test.ts'],
          exclude: ['tests/long/**'],
        },
      },
      {
        // The contract again, on the HTTP server that takes uWebSockets.js's place where its
        // binary does not load: other Node versions, other machines.
        extends: true,
        test: {
          name: 'fallback',
          include: [
            'tests/contract/**/*.test.ts',
            'tests/integration/http-door.test.ts',
            'tests/fuzz/socket.test.ts',
          ],
          env: { UWS_USE_FALLBACK: '1' },
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
