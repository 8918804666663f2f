/**
 * How many cases the tests with random input try. `npm run test:long` multiplies and replaces them
 * (scripts/test-long.js); CONTRIBUTING.md states both.
 */

/** A number of its own variable, for tests that count cycles or requests. */
export function countOf(variable: `KALAM_TEST_${string}`, otherwise: number): number {
  return Number(process.env[variable] ?? otherwise)
}

/**
 * Of every test with random input: a usual run tells of what was changed, not of its luck.
 * `npm run test:long` draws another each time and prints it; `KALAM_TEST_SEED` repeats that run.
 */
export const seed = Number(process.env['KALAM_TEST_SEED'] ?? 1)

/** Runs of a property: `usual` (fast-check's own default), times `KALAM_TEST_PROPERTY_FACTOR`. */
export function propertyRuns(usual = 100): { readonly numRuns: number; readonly seed: number } {
  return { numRuns: usual * countOf('KALAM_TEST_PROPERTY_FACTOR', 1), seed }
}
