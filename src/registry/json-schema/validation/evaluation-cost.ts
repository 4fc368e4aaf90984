import { childrenOf, type NodeOrder, type SchemaNode } from '../schema-node.ts'

/**
 * Returns the maximum number of subschema evaluations for one level of a payload, or Infinity for a recursive schema,
 * with which the work may grow at every level.
 */
export function evaluationCost ({ order }: NodeOrder): number {
  const costs = new Map<SchemaNode, number>()
  let cost = 0
  for (const next of order) {
    cost = childrenOf(next).reduce((sum, child) => sum + (costs.get(child) ?? Infinity), 1)
    costs.set(next, cost)
  }
  return cost
}
