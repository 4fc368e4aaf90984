import type { Diagnostic } from '@codemirror/lint'

/* Finds the place of a JSON Pointer in a JSON text, so that an editor can mark what the server has named. */

export interface TextRange {
  from: number
  to: number
}

/**
 * Returns where the value of a JSON Pointer is in a JSON text: the name of a member, or the first token of an item. For
 * a part that does not exist, it returns the nearest part that contains it. Undefined if the text is not JSON.
 */
export function rangeAt (text: string, pointer: string): TextRange | undefined {
  try {
    JSON.parse(text)
  } catch {
    return undefined
  }
  const tokens = new Tokens(text)
  return find(tokens, pointerParts(pointer), tokens.next())
}

/** Returns the problems that the server has found, at their places in the text. `prefix` is taken off their paths. */
export function problemsIn (
  text: string,
  details: readonly { path?: string; message?: string }[],
  prefix = ''
): Diagnostic[] {
  return details.flatMap(({ path = '', message = '' }) => {
    const isInside = path === prefix || path.startsWith(`${prefix}/`)
    const range = isInside ? rangeAt(text, path.slice(prefix.length)) : undefined
    return range === undefined ? [] : [{ ...range, severity: 'error' as const, message }]
  })
}

/** Returns the value of a JSON Pointer in a value; undefined if there is none. */
export function valueAt (value: unknown, pointer: string): unknown {
  let found = value
  for (const part of pointerParts(pointer)) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, part)) return undefined
    found = (found as Record<string, unknown>)[part]
  }
  return found
}

const pointerParts = (pointer: string): string[] =>
  pointer === ''
    ? []
    : pointer
      .slice(1)
      .split('/')
      .map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'))

interface Token extends TextRange {
  text: string
}

/** The tokens of a text that is known to be JSON. */
class Tokens {
  readonly #text: string
  readonly #pattern = /"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s{}[\]:,"]+/gy

  constructor (text: string) {
    this.#text = text
  }

  next (): Token {
    const start = /\S/g
    start.lastIndex = this.#pattern.lastIndex
    this.#pattern.lastIndex = start.exec(this.#text)?.index ?? this.#text.length
    const from = this.#pattern.lastIndex
    const text = this.#pattern.exec(this.#text)?.[0] ?? ''
    return { text, from, to: from + text.length }
  }

  /** Skips the rest of a value whose first token was read. */
  skip ({ text }: Token): void {
    let depth = isOpening(text) ? 1 : 0
    while (depth > 0) {
      const { text } = this.next()
      if (isOpening(text)) depth++
      if (text === '}' || text === ']') depth--
    }
  }
}

const isOpening = (text: string): boolean => text === '{' || text === '['

/** Finds a part of the value that begins with `first`. `place` is where the value is marked. */
function find (tokens: Tokens, [part, ...rest]: string[], first: Token, place: TextRange = first): TextRange {
  const own = { from: place.from, to: place.to }
  if (part === undefined || !isOpening(first.text)) return own
  for (let i = 0; ; i++) {
    const token = tokens.next()
    if (token.text === '}' || token.text === ']') return own
    if (first.text === '{') tokens.next()
    const name: unknown = first.text === '{' ? JSON.parse(token.text) : String(i)
    const value = first.text === '{' ? tokens.next() : token
    if (name === part) return find(tokens, rest, value, token)
    tokens.skip(value)
    if (tokens.next().text !== ',') return own
  }
}
