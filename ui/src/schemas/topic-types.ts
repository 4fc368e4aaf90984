/**
 * Returns the part of the generated types that belongs to a topic: the named types of its schema, and its member of
 * `TopicMap`. Undefined if the topic is not in the file. Lines of other declarations and members are indented deeper.
 */
export function typesOfTopic (text: string, topic: string): string | undefined {
  const lines = text.split('\n')
  const start = lines.findIndex(line => line.startsWith(`  '${topic}': `))
  if (start === -1) return undefined
  const from = lines.slice(0, start).findLastIndex(line => /^ {2}[^\s/*]|^\S/.test(line)) + 1
  const rest = lines.slice(start + 1).findIndex(line => /^ {2}[^\s}]|^}/.test(line))
  const member = lines.slice(from, start + 1 + rest)
  const prefix = topic.replace(/(?:^|[._-])([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
  return [...declarations(lines, `${prefix}_`), 'export interface TopicMap {', ...member, '}'].join('\n')
}

/** Returns the top-level declarations whose name begins with the prefix. */
function declarations (lines: readonly string[], prefix: string): string[] {
  const found: string[] = []
  let isInside = false
  for (const line of lines) {
    const name = /^(?:interface|type) (\w+)/.exec(line)?.[1]
    if (name !== undefined) isInside = name.startsWith(prefix)
    else if (/^\S/.test(line) && !line.startsWith('}') && !line.startsWith('|')) isInside = false
    if (isInside) found.push(line)
  }
  return found
}
