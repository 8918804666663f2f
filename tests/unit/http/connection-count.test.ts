import { describe, expect, test } from 'vitest'
import { affordableConnections, countConnections } from '#src/http/connection-count.js'

describe('connections that can be afforded', () => {
  test.each([
    ['no limit', 10_000, Infinity, 10_000],
    ['room for one more', 10_000, 12_001, 10_000],
    ['just room', 10_000, 12_000, 10_000],
    ['one too few', 10_000, 11_999, 9_999],
    ['few files: half are for the engine', 10_000, 1_024, 512],
    ['fewer connections than that', 100, 1_024, 100],
  ])('%s', (_name, wanted, limit, expected) => {
    expect(affordableConnections(wanted, limit)).toBe(expected)
  })
})

test('counts what is connected to the port: not who listens, nor whom nobody holds', () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0B54 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1530 1 0 100 0 0 10 0
   1: 0100007F:0B54 0100007F:C583 01 00000000:00000000 00:00000000 00000000     0        0 94781 1 0 20 4 30 10 -1
   2: 0100007F:C583 0100007F:0B54 01 00000000:00000000 00:00000000 00000000     0        0 94782 1 0 20 4 30 10 -1
   3: 0100007F:0B54 0100007F:C584 08 00000000:00000001 00:00000000 00000000  1000        0 94783 1 0 20 4 30 10 -1
   4: 0100007F:0B54 0100007F:C585 06 00000000:00000000 03:00001770 00000000     0        0 0 3 0
   5: 0100007F:0B55 0100007F:C586 01 00000000:00000000 00:00000000 00000000     0        0 94784 1 0 20 4 30 10 -1
`
  expect(countConnections(table, 0x0b54)).toBe(2)
})
