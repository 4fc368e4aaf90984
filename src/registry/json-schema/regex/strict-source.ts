const tokens = /\\(?:[pPu]\{[^}]*\}|[^])|\[|\]|\{\d+(?:,\d*)?\}|[{}]/gu

/**
 * Returns a pattern with the syntax of the flag `u`, which many authors do not observe: a needless backslash (`\-`,
 * `\@`), or a brace or bracket without one. Their meaning is clear. Everything else that `u` forbids stays malformed.
 */
export function strictSource (source: string): string {
  let isInClass = false
  return source.replace(tokens, token => {
    const wasInClass = isInClass
    if (token === '[') isInClass = true
    else if (token === ']') isInClass = false
    if (token.startsWith('\\')) return isNeedless(token, wasInClass) ? `\\u{${hex(token.slice(1))}}` : token
    return !wasInClass && (token === ']' || token === '{' || token === '}') ? `\\${token}` : token
  })
}

const isNeedless = (escape: string, isInClass: boolean): boolean =>
  !/^\\[A-Za-z0-9^$\\.*+?()[\]{}|/]/.test(escape) && (!isInClass || escape !== '\\-')

const hex = (char: string): string => (char.codePointAt(0) ?? 0).toString(16)
