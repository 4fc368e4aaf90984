import { canonical, type Json } from '../json.ts'
import type { Models } from './models.ts'

/** Returns one value from each list, no two equal (a matching by augmenting paths), or undefined if impossible. */
export function pickDistinct (lists: readonly Models[]): Json[] | undefined {
  const candidates = lists.map(list => list.values.map(value => ({ text: canonical(value), value })))
  const taken = new Map<string, { list: number, value: Json }>()
  const give = (list: number, tried: Set<string>): boolean => {
    for (const { text, value } of candidates[list] ?? []) {
      if (tried.has(text)) continue
      tried.add(text)
      const owner = taken.get(text)
      if (owner !== undefined && !give(owner.list, tried)) continue
      taken.set(text, { list, value })
      return true
    }
    return false
  }
  for (let list = 0; list < lists.length; list++) if (!give(list, new Set())) return undefined
  const picked: Json[] = []
  for (const { list, value } of taken.values()) picked[list] = value
  return picked
}
