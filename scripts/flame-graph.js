// node scripts/flame-graph.js FILE.cpuprofile > FLAME.svg: V8's CPU profile as a flame graph, callers
// on top, the width of a frame its share of the time that was not idle.
import { readFileSync } from 'node:fs'

const [file] = process.argv.slice(2)
if (file === undefined) throw new Error('usage: node scripts/flame-graph.js FILE.cpuprofile')
const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, 'utf8'))

const width = 1200
const rowHeight = 17
/** Narrower frames are left out, in pixels. */
const widthMin = 2

const byId = new Map(nodes.map((node) => [node.id, { ...node, selfMicros: 0 }]))
samples.forEach((id, index) => (byId.get(id).selfMicros += timeDeltas[index]))
const root = merge(nodes[0].id)
const frames = []
layOut(root, 0, 0)
const depthMax = Math.max(...frames.map(({ depth }) => depth))
process.stdout.write(
  [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${(depthMax + 1) * rowHeight}" font-family="monospace" font-size="11">`,
    ...frames.map(rectangle),
    '</svg>\n',
  ].join('\n'),
)

/** Calls of one function from one place become one frame, whatever line they stand on. */
function merge(id) {
  const node = byId.get(id)
  const name = nameOf(node.callFrame)
  const frame = { name, micros: name === '(idle)' ? 0 : node.selfMicros, children: new Map() }
  for (const childId of node.children ?? []) {
    const child = merge(childId)
    const known = frame.children.get(child.name)
    frame.children.set(child.name, known === undefined ? child : joined(known, child))
    frame.micros += child.micros
  }
  return frame
}

function joined(one, other) {
  for (const [name, child] of other.children) {
    const known = one.children.get(name)
    one.children.set(name, known === undefined ? child : joined(known, child))
  }
  return { ...one, micros: one.micros + other.micros }
}

function nameOf({ functionName, url }) {
  const place = url.includes('/dist/') ? url.split('/dist/')[1] : url.split('/').slice(-1)[0]
  return `${functionName || '(anonymous)'}${place === '' ? '' : ` ${place}`}`
}

function layOut(frame, depth, x) {
  const w = (frame.micros / root.micros) * width
  if (w < widthMin) return
  frames.push({ ...frame, depth, x, w })
  let at = x
  for (const child of [...frame.children.values()].sort((a, b) => b.micros - a.micros)) {
    layOut(child, depth + 1, at)
    at += (child.micros / root.micros) * width
  }
}

function rectangle({ name, depth, x, w, micros }) {
  const share = ((micros / root.micros) * 100).toFixed(1)
  const text = escape(name.slice(0, Math.max(0, Math.floor(w / 6.7) - 1)))
  const y = depth * rowHeight
  const hue = 20 + ((name.length * 7) % 35)
  return (
    `<g><title>${escape(name)}: ${share} %</title>` +
    `<rect x="${x.toFixed(1)}" y="${y}" width="${w.toFixed(1)}" height="${rowHeight - 1}" fill="hsl(${hue} 85% 70%)"/>` +
    `<text x="${(x + 2).toFixed(1)}" y="${y + 12}">${text}</text></g>`
  )
}

function escape(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
