/** Rejects when the work takes longer: a bench must not wait for what never comes. */
export function within<T>(work: Promise<T>, ms: number, complaint: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${complaint} within ${ms} ms`)), ms)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
