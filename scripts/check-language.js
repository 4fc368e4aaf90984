import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/*
 * Part of `npm run lint`: checks the width of lines, and looks for phrases of our own past in comments, test names,
 * messages and documents. The list of phrases is beside this file.
 */

const widthMax = 120
const read = name =>
  readFileSync(new URL(name, import.meta.url), 'utf8').split('\n').filter(line => line !== '' && !line.startsWith('#'))
const phrases = read('banned-phrases.txt')
  .map(line => ({ line, expression: new RegExp(line, /[A-Z]/.test(line) ? '' : 'i') }))
/** Files that have not been brought to this form yet. */
const exempt = read('language-exempt.txt')

const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { encoding: 'utf8' })
  .split('\n')
  .filter(file => /\.(ts|tsx|js|md)$/.test(file) && !file.endsWith('.gen.ts'))
  .filter(file => !exempt.some(prefix => file.startsWith(prefix)))

/** Text that people read: in documents every line, in code the comments and the strings. */
function prose (file, line) {
  if (file.endsWith('.md')) return line
  const comment = /^\s*(?:\/\*\*?|\*(?!\/)|\/\/)(.*)$/.exec(line)?.[1] ?? /(?:^|\s)\/\/ (.*)$/.exec(line)?.[1] ?? ''
  const strings = [...line.matchAll(/'((?:[^'\\]|\\.)*)'|`((?:[^`\\]|\\.)*)`|"((?:[^"\\]|\\.)*)"/g)].map((
    [, a, b, c]
  ) => a ?? b ?? c).filter(text => text.includes(' '))
  return [comment, ...strings].join('\n')
}

/** A table row, a link, a URL or a list of classes cannot be wrapped; neither can a long string without spaces. */
const isUnbreakable = (file, line) => file.endsWith('.md')
  ? /^\s*\||^\s*(?:[-*\d.]+ )?\[?[^ ]+$|https?:\/\/\S{60}|^\[[^\]]+\]: /.test(line)
  : /https?:\/\/\S{60}|'\S{90,}'|className=|^import /.test(line)

const found = []
for (const file of files) {
  let isFenced = false
  for (const [i, line] of readFileSync(file, 'utf8').split('\n').entries()) {
    if (file.endsWith('.md') && /^\s*```/.test(line)) isFenced = !isFenced
    const width = [...line].length
    if (width > widthMax && !isUnbreakable(file, line) && !isFenced) {
      found.push(`${file}:${i + 1} has ${width} characters; lines have at most ${widthMax}`)
    }
    if (isFenced) continue
    const text = prose(file, line)
    for (const { line: phrase, expression } of phrases) {
      if (expression.test(text)) found.push(`${file}:${i + 1} has the banned phrase /${phrase}/`)
    }
  }
}
if (found.length > 0) {
  process.stderr.write(
    `${
      found.join('\n')
    }\n${found.length} lines to rewrite; CONTRIBUTING.md and scripts/banned-phrases.txt say why\n`
  )
  process.exitCode = 1
}
