/** The process of a system's clients: one that writes, many that watch, and the clock for both. */
import { quantile, runLoop, type Operation } from '../load/sample.js'
import { serveOrders } from '../load/worker-process.js'
import { Arrivals } from './arrivals.js'
import { within } from './deadline.js'
import { insertedFrom, newTodo, type Form, type LiveSystem, type Todo } from './live-system.js'

export type LiveOrder =
  | { readonly kind: 'subscribe'; readonly form: Form; readonly queries: number }
  | { readonly kind: 'sample'; readonly inFlight: number; readonly durationMs: number }
  /** Compares what clients hold with what the database says, and ends the live queries. */
  | { readonly kind: 'finish' }

export type LiveAnswer =
  LiveSample | { readonly kind: 'subscribed'; readonly tookMs: number } | Finished

export interface Finished {
  readonly kind: 'finished'
  /** Live queries that were compared. */
  readonly compared: number
}

export interface LiveSample {
  readonly kind: 'sample'
  readonly inserts: number
  /** Of those that were acknowledged and came to the client they concern within the time. */
  readonly insertsPerSecond: number
  /** From sending the insert to its event. */
  readonly eventMs: Spread
  /** From the acknowledgement of the insert to its event. */
  readonly commitMs: Spread
}

export interface Spread {
  readonly p50: number
  readonly p95: number
}

const subscribeMsMax = 120_000

/** Most queries that `finish` compares. */
const comparedMax = 50

export function serveLive(system: LiveSystem): void {
  const clients = new LiveClients(system)
  serveOrders(
    (order: LiveOrder) => clients.answer(order),
    () => system.close(),
  )
}

class LiveClients {
  readonly #system: LiveSystem
  readonly #arrivals = new Arrivals()
  #owners: readonly string[] = []
  #form: Form = 'follow'
  #id = insertedFrom

  constructor(system: LiveSystem) {
    this.#system = system
  }

  async answer(order: LiveOrder): Promise<LiveAnswer> {
    switch (order.kind) {
      case 'subscribe':
        return this.#subscribe(order.form, order.queries)
      case 'sample':
        return this.#sample(order.inFlight, order.durationMs)
      case 'finish':
        return this.#finish()
    }
  }

  async #subscribe(form: Form, queries: number): Promise<LiveAnswer> {
    this.#form = form
    this.#owners = Array.from({ length: queries }, (_, at) => `u${at}`)
    const started = performance.now()
    const see = (todo: Todo) => this.#arrivals.see(todo)
    const subscribing = this.#system.subscribe({ form, owners: this.#owners, see })
    await within(subscribing, subscribeMsMax, 'the live queries are not ready')
    return { kind: 'subscribed', tookMs: performance.now() - started }
  }

  async #sample(inFlight: number, durationMs: number): Promise<LiveSample> {
    const eventMs: number[] = []
    const commitMs: number[] = []
    const lanes = Array.from({ length: inFlight }, (_, lane): Operation => (id, done) => {
      this.#insert(id, lane).then((times) => {
        eventMs.push(times.eventMs)
        commitMs.push(times.commitMs)
        done()
      }, done)
    })
    const { operationsPerSecond } = await runLoop({ durationMs, lanes, nextId: () => this.#id++ })
    return {
      kind: 'sample',
      inserts: eventMs.length,
      insertsPerSecond: operationsPerSecond,
      eventMs: spreadOf(eventMs),
      commitMs: spreadOf(commitMs),
    }
  }

  async #insert(id: number, lane: number): Promise<{ eventMs: number; commitMs: number }> {
    const owner = this.#owners[Math.floor(Math.random() * this.#owners.length)] ?? ''
    const todo = newTodo(id, owner)
    const arrival = this.#arrivals.expect(todo)
    // Should it fail before it is awaited, it still fails there.
    arrival.catch(() => undefined)
    const sentAt = performance.now()
    await this.#system.insert(todo, lane)
    const committedAt = performance.now()
    const arrivedAt = await arrival
    return { eventMs: arrivedAt - sentAt, commitMs: arrivedAt - committedAt }
  }

  async #finish(): Promise<Finished> {
    let compared = 0
    const step = Math.ceil(this.#owners.length / comparedMax)
    for (let at = 0; at < this.#owners.length; at += step) {
      const owner = this.#owners[at] ?? ''
      const held = sorted(this.#system.held(owner))
      const stored = sorted(await this.#system.stored(owner, this.#form))
      if (held !== stored) throw new Error(`${owner} holds ${held}, and there are ${stored}`)
      compared += 1
    }
    await this.#system.unsubscribe()
    return { kind: 'finished', compared }
  }
}

function sorted(ids: readonly number[]): string {
  return [...ids].sort((a, b) => a - b).join()
}

function spreadOf(samples: readonly number[]): Spread {
  return { p50: quantile(samples, 0.5), p95: quantile(samples, 0.95) }
}
