/** Who waits, and for whom. */
export interface Wait<Waiter> {
  readonly waiter: Waiter
  /** 0 has nothing that others wait for. */
  readonly session: number
  /** Sessions that have what is waited for. */
  readonly holders: readonly number[]
  /** Who is to have it before. */
  readonly earlier: readonly Waiter[]
}

/** The last of those who wait for a lock and so, over others, for themselves; undefined if nobody does. */
export function findDeadlock<Waiter>(waits: readonly Wait<Waiter>[]): Waiter | undefined {
  const ofSession = new Map(waits.map((wait) => [wait.session, wait]))
  const ofWaiter = new Map(waits.map((wait) => [wait.waiter, wait]))
  ofSession.delete(0)
  const blockersOf = ({ holders, earlier }: Wait<Waiter>): (Wait<Waiter> | undefined)[] => [
    ...holders.map((session) => ofSession.get(session)),
    ...earlier.map((waiter) => ofWaiter.get(waiter)),
  ]
  return waits.findLast((wait) => reachesItself(wait, blockersOf))?.waiter
}

function reachesItself<Node>(start: Node, nextOf: (node: Node) => (Node | undefined)[]): boolean {
  const seen = new Set<Node>()
  const ahead = nextOf(start)
  while (ahead.length > 0) {
    const next = ahead.pop()
    if (next === start) return true
    if (next === undefined || seen.has(next)) continue
    seen.add(next)
    ahead.push(...nextOf(next))
  }
  return false
}
