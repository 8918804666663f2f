/**
 * How many connections a port has, and how many the process can have. The native uWebSockets.js on
 * npm (20.30) does not tell of connections, only of requests; the kernel does, on Linux.
 */
import { readFileSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'

/** Most descriptors kept for the rest: PostgreSQL opens up to 1,000 files, the WAL among them. */
const otherDescriptorsMax = 2_000
/** With few of them, this share is kept. */
const otherDescriptorsShare = 0.5

/** `wanted`, or as many as leave the engine the descriptors that it needs of `limit`. */
export function affordableConnections(wanted: number, limit: number): number {
  const others = Math.min(otherDescriptorsMax, Math.ceil(limit * otherDescriptorsShare))
  return Math.min(wanted, limit - others)
}

/** Descriptors that this process may open; Infinity where there is no telling. */
export function descriptorLimit(): number {
  try {
    // Node.js raises the soft limit to the hard one when it starts.
    const found = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))
    return found === null ? Infinity : Number(found[1])
  } catch {
    return Infinity
  }
}

/**
 * Connections of the local port beyond `max`; 0 on other systems than Linux. As long as the process
 * has no more than `max` descriptors, which is cheap to know, connections are not counted.
 */
export async function connectionsBeyond(max: number, port: number): Promise<number> {
  try {
    // The size of this folder is the number of descriptors from Linux 6.2 on, 0 before.
    const { size } = await stat('/proc/self/fd')
    if (size > 0 && size <= max) return 0
    const tables = await Promise.all(
      ['/proc/self/net/tcp', '/proc/self/net/tcp6'].map((file) =>
        readFile(file, 'latin1').catch(() => ''),
      ),
    )
    const count = tables.reduce((sum, table) => sum + countConnections(table, port), 0)
    return Math.max(0, count - max)
  } catch {
    return 0
  }
}

/** Of a table in the form of /proc/net/tcp: what is connected to the port and has a descriptor. */
export function countConnections(table: string, port: number): number {
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  // Number, local and remote address, state (0A listens), queues, timer, retries, user, timeout,
  // inode (0: not accepted yet, or closed by us).
  const line = new RegExp(
    String.raw`^ *\d+: [0-9A-F]+:${hex} [0-9A-F:]+ (?!0A)[0-9A-F]{2} \S+ \S+ +\S+ +\d+ +\d+ (?!0 )\d+`,
    'gm',
  )
  return table.match(line)?.length ?? 0
}
