import { useState } from 'react'

interface Steady<Item> {
  items: Item[] | undefined
  /** How many new items are not shown yet. */
  waiting: number
  /** Shows the current items in their order. */
  show: () => void
}

/**
 * Keeps the order of the items that are shown while a list is read again: known ones are replaced by their current
 * state, and new ones wait until `show` is called. Items that are gone stay where they are until then; `isGone` finds
 * them. Another `view`, such as another filter, starts afresh.
 */
export function useSteady<Item> (
  current: Item[] | undefined,
  keyOf: (item: Item) => string,
  view: string
): Steady<Item> & { isGone: (item: Item) => boolean } {
  const [kept, setKept] = useState<{ view: string; items: Item[] | undefined }>({ view, items: current })
  const isFresh = kept.view !== view || kept.items === undefined || kept.items.length === 0
  if (isFresh && (kept.view !== view || kept.items !== current) && current !== undefined) {
    setKept({ view, items: current })
  }
  const shown = isFresh ? current : kept.items
  const byKey = new Map(current?.map(item => [keyOf(item), item]))
  const known = new Set(shown?.map(keyOf))
  return {
    items: shown?.map(item => byKey.get(keyOf(item)) ?? item),
    waiting: current?.filter(item => !known.has(keyOf(item))).length ?? 0,
    isGone: item => current !== undefined && !byKey.has(keyOf(item)),
    show: () => setKept({ view, items: current })
  }
}
