import { SchemaError } from './schema-error.ts'
import { inPlace, reaching, type SchemaNode } from './schema-node.ts'
import type { CompileWork } from './validation/compile-work.ts'

/**
 * Limits the depth of schemas that apply to the same value. Each takes a part of the stack when a payload is checked,
 * and the stack of the main thread is small.
 */
const inPlaceDepthMax = 2_000

/**
 * Throws SchemaError if validation would not end, because a schema applies itself to the same value, or would overflow
 * the stack, because too many schemas apply to the same value one after the other.
 */
export function * refuseEndlessReferences (root: SchemaNode, work: CompileWork): Generator<void, void> {
  const depths = new Map<SchemaNode, number>()
  for (const start of reaching(root)) {
    if (depths.has(start)) continue
    const path = [start]
    const onPath = new Set(path)
    const stack = [inPlace(start)]
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      if (work.spend(1)) yield
      const { value, done: ended } = top.next()
      if (ended === true) {
        stack.pop()
        const last = path.pop()
        if (last === undefined) break
        onPath.delete(last)
        depths.set(last, depthOf(last, depths))
      } else if (onPath.has(value)) {
        throw new SchemaError('the schema applies itself to the same value without end', value.pointer)
      } else if (!depths.has(value)) {
        path.push(value)
        onPath.add(value)
        stack.push(inPlace(value))
      }
    }
  }
}

function depthOf (schema: SchemaNode, depths: ReadonlyMap<SchemaNode, number>): number {
  let depth = 1
  for (const next of inPlace(schema)) depth = Math.max(depth, 1 + (depths.get(next) ?? 0))
  if (depth > inPlaceDepthMax) {
    throw new SchemaError(
      `too many schemas refer to each other for the same value: at most ${inPlaceDepthMax} may follow one another`,
      schema.pointer
    )
  }
  return depth
}
