const token = /"(?:[^"\\]|\\.)*"|[{}[\]:]/g

/**
 * Whether an object in a JSON text names a member twice. Parsers differ in which of the two they take, so that such a
 * token could mean one thing to us and another to whoever else verifies it (RFC 7519 §4).
 */
export function hasRepeatedNames (json: string): boolean {
  const open: (Set<string> | undefined)[] = []
  const tokens = json.match(token) ?? []
  for (const [i, text] of tokens.entries()) {
    if (text === '{') open.push(new Set())
    else if (text === '[') open.push(undefined)
    else if (text === '}' || text === ']') open.pop()
    else if (text !== ':' && tokens[i + 1] === ':') {
      const name = JSON.parse(text) as string
      const names = open.at(-1)
      if (names?.has(name) === true) return true
      names?.add(name)
    }
  }
  return false
}
