import type { Keywords, SchemaNode } from './schema-node.ts'

/** The members of an object or array that a schema evaluates. All others are "unevaluated". */
export interface Seen {
  readonly names: ReadonlySet<string>
  readonly patterns: ReadonlySet<string>
  readonly allKeys: boolean
  /** The number of evaluated items at the start of an array, or Infinity. */
  readonly items: number
  /** Schemas of `contains`. Items that satisfy one of them are evaluated. */
  readonly kinds: ReadonlySet<SchemaNode>
}

export interface MutableSeen {
  names: Set<string>
  patterns: Set<string>
  allKeys: boolean
  items: number
  kinds: Set<SchemaNode>
}

export const nothingSeen = (): MutableSeen => ({
  names: new Set(), patterns: new Set(), allKeys: false, items: 0, kinds: new Set()
})

/** Returns what the keywords of a schema evaluate themselves, without its branches. */
export function ownSeen (keywords: Keywords): MutableSeen {
  return {
    names: new Set(keywords.properties?.keys()),
    patterns: new Set(keywords.patternProperties?.keys()),
    allKeys: keywords.additionalProperties !== undefined || keywords.unevaluatedProperties !== undefined,
    items: keywords.items !== undefined || keywords.unevaluatedItems !== undefined
      ? Infinity
      : keywords.prefixItems?.length ?? 0,
    kinds: new Set(keywords.contains === undefined ? [] : [keywords.contains])
  }
}

/** Returns what is evaluated at least (`atMost` false) or at most (true), over all scenarios. */
export function seenRoughly (keywords: Keywords, atMost: boolean): Seen {
  const seen = nothingSeen()
  const parts = new Set([keywords])
  for (const part of parts) {
    addSeen(seen, ownSeen(part))
    const { allOf = [], anyOf = [], oneOf = [], if: test, then, else: otherwise, dependentSchemas } = part
    const others = atMost
      ? [...allOf, ...anyOf, ...oneOf, ...dependentSchemas?.values() ?? [], test, then, otherwise]
      : allOf
    for (const other of others) {
      if (other !== undefined && typeof other.keywords !== 'boolean') parts.add(other.keywords)
    }
  }
  return seen
}

export function isNothing (seen: Seen): boolean {
  return seen.names.size === 0 && seen.patterns.size === 0 && !seen.allKeys && seen.items === 0 && seen.kinds.size === 0
}

export function addSeen (to: MutableSeen, seen: Seen): void {
  for (const name of seen.names) to.names.add(name)
  for (const pattern of seen.patterns) to.patterns.add(pattern)
  for (const kind of seen.kinds) to.kinds.add(kind)
  to.allKeys ||= seen.allKeys
  to.items = Math.max(to.items, seen.items)
}
