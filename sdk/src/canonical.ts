/** Returns the JSON of a value with sorted keys, so that equal values have equal texts. */
export function canonical (value: unknown): string {
  return JSON.stringify(value, (_key, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1))
      : value)
}
