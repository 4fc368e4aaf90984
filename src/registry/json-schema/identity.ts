import { canonical } from './json.ts'
import { childrenOf, type SchemaNode } from './schema-node.ts'
import type { Tick } from './steps.ts'

/**
 * Returns a number for each schema. Two schemas have the same number if they are identical, in any document and through
 * references and recursion. Nodes are distinguished by their own keywords first, then by the numbers of their children,
 * until nothing changes.
 */
export function identify (nodes: Iterable<SchemaNode>, tick: Tick): Map<SchemaNode, number> {
  const texts = new Map<string, number>()
  const known = new Map<SchemaNode, number>()
  const number = (text: string): number => {
    tick(1 + (text.length >> 6))
    const found = texts.get(text) ?? texts.size
    texts.set(text, found)
    return found
  }
  const recursive = [...nodes].filter(next => !settle(next, known, number, tick))
  let classes = new Map(recursive.map(next => [next, number(`0:${describe(next, () => 0)}`)]))
  for (let count = -1; count !== new Set(classes.values()).size;) {
    count = new Set(classes.values()).size
    const before = classes
    classes = new Map(
      recursive.map(next => [
        next,
        number(`${before.get(next)}:${describe(next, child => known.get(child) ?? before.get(child) ?? -1)}`)
      ])
    )
  }
  return new Map([...known, ...classes])
}

/** Numbers a node that is not recursive, after its children. Returns whether it could. */
function settle (
  start: SchemaNode, known: Map<SchemaNode, number>, number: (text: string) => number, tick: Tick
): boolean {
  const open = new Set<SchemaNode>()
  const visit = (next: SchemaNode): boolean => {
    if (known.has(next)) return true
    if (open.has(next)) return false
    tick()
    open.add(next)
    let isSettled = true
    for (const child of childrenOf(next)) isSettled = visit(child) && isSettled
    if (isSettled) known.set(next, number(describe(next, child => known.get(child) ?? -1)))
    return isSettled
  }
  return visit(start)
}

function describe ({ keywords }: SchemaNode, nameOf: (child: SchemaNode) => number): string {
  if (typeof keywords === 'boolean') return String(keywords)
  const isNode = (value: unknown): value is SchemaNode =>
    typeof value === 'object' && value !== null && 'keywords' in value && 'pointer' in value
  const write = (value: unknown): unknown => {
    if (isNode(value)) return `#${nameOf(value)}`
    if (Array.isArray(value)) return value.map(write)
    if (value instanceof Map) {
      return Object.fromEntries([...value].map(([key, member]) => [`.${String(key)}`, write(member)]))
    }
    return value
  }
  const opaque = new Set(['enum', 'const', 'contentSchema'])
  return canonical(
    Object.fromEntries(
      Object.entries(keywords).map(([word, value]) => [word, opaque.has(word) ? value as unknown : write(value)])
    )
  )
}
