/*
 * Text of TypeScript. Everything that comes from a schema is untrusted: it goes through `textLiteral`, `memberName` or
 * `docComment`, so that it cannot end the literal or the comment that it is in.
 */

const identifier = /^[A-Za-z_$][\w$]*$/

/** Controls, format characters such as those that reverse the direction of text, line separators, lone surrogates. */
const invisible = /[\p{C}\p{Zl}\p{Zp}]/gu

const escaped = (char: string): string =>
  Array.from({ length: char.length }, (_, i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, '0')}`).join('')

/** Returns a literal type of a string, in single quotes. */
export function textLiteral (text: string): string {
  const quoted = JSON.stringify(text).slice(1, -1)
    .replace(/\\.|'/gu, found => found === '\\"' ? '"' : found === "'" ? "\\'" : found)
  return `'${quoted.replace(invisible, escaped)}'`
}

/** Returns the name of a member of an object type, in quotes if it is not an identifier. */
export const memberName = (name: string): string => identifier.test(name) ? name : textLiteral(name)

const commentLengthMax = 1_000

/** Returns the lines of a doc comment, none for an empty text. A long text is cut. */
export function docComment (text: string): string[] {
  const cut = text.length > commentLengthMax ? `${text.slice(0, commentLengthMax)}…` : text
  const lines = cut.split(/\r\n|[\n\r\u2028\u2029]/u).map(line =>
    // `@` starts a tag, and a directive such as `@ts-ignore`.
    line.replace(invisible, ' ').replaceAll('*/', '*\\/').replaceAll('/*', '/\\*').replace(/(?<![\w\\])@/g, '\\@')
      .trimEnd()
  )
  while (lines.length > 0 && lines.at(-1) === '') lines.pop()
  while (lines.length > 0 && lines[0] === '') lines.shift()
  const [only] = lines
  if (only === undefined) return []
  if (lines.length === 1) return [`/** ${only.trimStart()} */`]
  return ['/**', ...lines.map(line => ` * ${line}`.trimEnd()), ' */']
}

/** Returns the lines with two more spaces of indentation. */
export const indent = (text: string): string => text.replace(/^(?=.)/gm, '  ')
