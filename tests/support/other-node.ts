/** The other versions of Node that KalamDB promises to run on; `.ci/run` installs their binaries. */
export interface OtherNode {
  readonly major: number
  /** The binary; absent where this machine has none. */
  readonly path: string | undefined
}

export function otherNodes(env: Readonly<Record<string, string | undefined>>): OtherNode[] {
  return [22, 24].map((major) => {
    const path = env[`KALAM_TEST_NODE${major}`]
    if (path !== undefined && path !== '') return { major, path }
    // A machine that is meant to prove this must not pass without it.
    if (env['CI'] === 'true')
      throw new Error(`KALAM_TEST_NODE${major} must name a Node binary in CI`)
    return { major, path: undefined }
  })
}
