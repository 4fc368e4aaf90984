/**
 * Parses the text form of an array: `{1,NULL,"a \"b\""}`, nested, with or without bounds (`[0:1]={…}`). Elements go through
 * `parse`. https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
 */
export function parseArrayText (text: string, delimiter: string, parse: (element: string) => unknown): unknown[] {
  let at = text.startsWith('[') ? text.indexOf('=') + 1 : 0
  return list()

  function list (): unknown[] {
    const items: unknown[] = []
    at++
    while (at < text.length && text[at] !== '}') {
      items.push(text[at] === '{' ? list() : element())
      if (text[at] === delimiter) at++
    }
    at++
    return items
  }

  function element (): unknown {
    if (text[at] === '"') return parse(quoted())
    const start = at
    while (at < text.length && text[at] !== delimiter && text[at] !== '}') at++
    const plain = text.slice(start, at)
    return plain === 'NULL' ? null : parse(plain)
  }

  function quoted (): string {
    let value = ''
    for (at++; at < text.length && text[at] !== '"'; at++) {
      if (text[at] === '\\') at++
      value += text[at]
    }
    at++
    return value
  }
}
