/** Matches one preference with its parameters: text without commas, and quoted strings with any. */
const preference = /(?:[^,"]|"(?:[^"\\]|\\.)*"?)+/g
const returnPreference = /^\s*return\s*=\s*("?)([\w-]+)\1\s*(?:;|$)/i

/** Returns whether a `Prefer` header has `return=minimal` (RFC 7240). Of several `return`, only the first counts. */
export function prefersMinimal (header: string | string[] | undefined): boolean {
  if (header === undefined) return false
  for (const [text] of [header].flat().join(',').matchAll(preference)) {
    const value = returnPreference.exec(text)?.[2]
    if (value !== undefined) return value.toLowerCase() === 'minimal'
  }
  return false
}
