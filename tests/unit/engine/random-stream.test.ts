import { closeSync, openSync, readSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import { keepRandomOpen, type StreamSystem } from '#src/engine/pglite/random-stream.js'

interface Stream {
  readonly fd: number
}

const opened: string[] = []
/** What is open: asked of the note, for the system gives a closed number to whatever another thread opens next. */
const left = new Set<number>()

/** Real files, and a note of each that was opened. */
function streamSystem(): StreamSystem {
  const fs: StreamSystem = {
    open: (path, flags) => {
      opened.push(path)
      const fd = openSync(path, flags)
      left.add(fd)
      return { fd } satisfies Stream
    },
    close: (stream) => {
      const { fd } = stream as Stream
      closeSync(fd)
      left.delete(fd)
    },
  }
  keepRandomOpen(fs)
  return fs
}

afterEach(() => {
  for (const fd of left) closeSync(fd)
  left.clear()
  opened.length = 0
})

function readRandom(fs: StreamSystem): string {
  const stream = fs.open('/dev/urandom', 'r') as Stream
  const bytes = Buffer.alloc(16)
  expect(readSync(stream.fd, bytes)).toBe(16)
  fs.close(stream)
  return bytes.toString('hex')
}

test('random bytes are other ones each time, of a file that is opened once', () => {
  const fs = streamSystem()
  const read = Array.from({ length: 3 }, () => readRandom(fs))
  expect(new Set(read).size).toBe(3)
  expect(opened).toEqual(['/dev/urandom'])
})

test('other files are opened each time, and closed', () => {
  const fs = streamSystem()
  for (let round = 0; round < 2; round++) {
    const stream = fs.open('/dev/null', 'r') as Stream
    fs.close(stream)
    expect(left).not.toContain(stream.fd)
  }
  expect(opened).toEqual(['/dev/urandom', '/dev/null', '/dev/null'])
})
