/** Returns the name that is at most two edits away, or undefined. */
export function nearest (given: string, names: readonly string[]): string | undefined {
  const [best] = names.map(name => ({ name, edits: distance(given, name) })).sort((a, b) => a.edits - b.edits)
  return best !== undefined && best.edits <= 2 ? best.name : undefined
}

/** The distance of Levenshtein. */
function distance (a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, change))
    }
    row = next
  }
  return row[b.length] ?? 0
}
