import fc from 'fast-check'
import { Subject } from 'rxjs'
import { describe, expect, test } from 'vitest'
import { changeFeed } from '#src/changes/change-feed.js'
import { Change, type ChangeBatch } from '#src/changes/change.js'
import { logStart, sequenceOf, type Sequence } from '#src/changes/sequence.js'
import { propertyRuns } from '../../support/counts.js'

const change = (sequence: number) =>
  new Change({
    sequence: sequenceOf(String(sequence)),
    ...{
      tableId: 1,
      version: 1,
      kind: 'I',
      owner: null,
      transaction: '1',
      old: null,
      new: `["${sequence}"]`,
    },
  })

/** A log in memory whose reads end when the test says so. */
function testLog(limit = 2) {
  const log: Change[] = []
  const pending: (() => void)[] = []
  let reading = 0
  let readingMost = 0
  const readAfter = (position: Sequence): Promise<ChangeBatch> => {
    readingMost = Math.max(readingMost, ++reading)
    return new Promise((resolve) =>
      pending.push(() => {
        reading -= 1
        const changes = log.filter(({ sequence }) => sequence > position).slice(0, limit)
        const complete = changes.length < limit
        resolve({ changes, position: changes.at(-1)?.sequence ?? position, complete })
      }),
    )
  }
  const settle = async (): Promise<void> => {
    for (let quiet = 0; quiet < 3; quiet++) {
      await Promise.resolve()
      const next = pending.shift()
      if (next !== undefined) {
        next()
        quiet = 0
      }
    }
  }
  return { log, readAfter, settle, finishRead: () => pending.shift()?.(), most: () => readingMost }
}

describe('the feed', () => {
  test('gives every change once and in order, whenever commits are told', async () => {
    const steps = fc.array(fc.constantFrom('commit', 'silent', 'read', 'turn'), { maxLength: 60 })
    await fc.assert(
      fc.asyncProperty(steps, async (plan) => {
        const { log, readAfter, settle, finishRead, most } = testLog()
        const commits = new Subject<void>()
        const seen: number[] = []
        changeFeed({ from: logStart, readAfter, commits }).subscribe(({ changes }) => {
          seen.push(...changes.map(({ sequence }) => sequence))
        })
        for (const step of plan) {
          if (step === 'read') finishRead()
          else if (step === 'turn') await Promise.resolve()
          else log.push(change(log.length * 3 + 1))
          if (step === 'commit') commits.next()
        }
        commits.next()
        await settle()
        expect(seen).toEqual(log.map(({ sequence }) => sequence))
        expect(most()).toBe(1)
      }),
      propertyRuns(300),
    )
  })

  test('ends in the error of a read, and another goes on from the last position', async () => {
    const commits = new Subject<void>()
    const errors: unknown[] = []
    const readAfter = (): Promise<ChangeBatch> => Promise.reject(new Error('gone'))
    changeFeed({ from: logStart, readAfter, commits }).subscribe({
      error: (cause: unknown) => errors.push(cause),
    })
    await new Promise((resolve) => setImmediate(resolve))
    expect(errors).toEqual([new Error('gone')])
    expect(commits.observed).toBe(false)
  })

  test('reads nothing once nobody listens', async () => {
    const { log, readAfter, settle } = testLog()
    const commits = new Subject<void>()
    const seen: unknown[] = []
    const subscription = changeFeed({ from: logStart, readAfter, commits }).subscribe((batch) =>
      seen.push(batch),
    )
    subscription.unsubscribe()
    log.push(change(1))
    commits.next()
    await settle()
    expect(seen).toEqual([])
  })
})
