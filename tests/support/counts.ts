/**
 * How many cases the tests with random input try. `npm run test:long` multiplies and replaces them
 * (scripts/test-long.js); CONTRIBUTING.md states both.
 */

/** A number of its own variable, for tests that count cycles or requests. */
export function countOf(variable: `KALAM_TEST_${string}`, otherwise: number): number {
  return Number(process.env[variable] ?? otherwise)
}

/** Runs of a property: `usual` (fast-check's own default), times `KALAM_TEST_PROPERTY_FACTOR`. */
export function propertyRuns(usual = 100): { readonly numRuns: number } {
  return { numRuns: usual * countOf('KALAM_TEST_PROPERTY_FACTOR', 1) }
}
