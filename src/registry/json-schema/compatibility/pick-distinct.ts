import { canonical, type Json } from '../json.ts'
import type { Models } from './models.ts'

/** Returns one value from each list, no two equal (a matching by augmenting paths), or undefined if impossible. */
export function pickDistinct (lists: readonly Models[]): Json[] | undefined {
  const texts = lists.map(({ values }) => values.map(canonical))
  const takenBy = new Map<string, number>()
  const give = (list: number, tried: Set<string>): boolean => {
    for (const text of texts[list] ?? []) {
      if (tried.has(text)) continue
      tried.add(text)
      const owner = takenBy.get(text)
      if (owner !== undefined && !give(owner, tried)) continue
      takenBy.set(text, list)
      return true
    }
    return false
  }
  for (let list = 0; list < lists.length; list++) if (!give(list, new Set())) return undefined
  const values = new Map(lists.flatMap(({ values }) => values.map(value => [canonical(value), value] as const)))
  const picked: Json[] = []
  for (const [text, list] of takenBy) picked[list] = values.get(text)!
  return picked
}
