import { existsSync, readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import t from 'tap'
import { read, root } from '../support/repository.ts'

const pages = [
  ...readdirSync(root).filter(name => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.md')).map(
    name => join('docs', name)
  )
]
const link = /\]\((?!https?:|mailto:)([^)\s#]*)(?:#([^)\s]*))?\)/g

/** Returns the anchor that GitHub generates for a heading. */
const anchorOf = (heading: string) =>
  heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '').trim().replace(/\s/g, '-')
const anchorsOf = (page: string) => [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => anchorOf(heading))

t.test('every link in the documents has a target', async t => {
  for (const page of pages) {
    for (const [all, path = '', anchor] of read(page).matchAll(link)) {
      const target = path === '' ? page : join(dirname(page), path)
      t.ok(existsSync(join(root, target)), `${page}: ${all}`)
      if (anchor !== undefined && target.endsWith('.md')) t.ok(anchorsOf(target).includes(anchor), `${page}: ${all}`)
    }
  }
})

t.test('the text of a link to a source file ends with the name of the file', async t => {
  const named = /\[`?([^\]`]+\.ts)`?\]\((?!https?:)([^)\s#]+)\)/g
  const links = pages.flatMap(page =>
    [...read(page).matchAll(named)].map(([, text = '', path = '']) => ({ page, text, path }))
  )
  t.ok(links.length > 100, `${links.length} links`)
  for (const { page, text, path } of links) t.equal(basename(text), basename(path), `${page}: ${path}`)
})

t.test('a test that is quoted after a link to its file exists', async t => {
  const quoting = /\]\(([^)\s#]+\.test\.ts)\)([^[|\n]*)/g
  const quotes = pages.flatMap(page =>
    [...read(page).matchAll(quoting)].flatMap(([, path = '', text = '']) =>
      [...text.matchAll(/"([^"]+)"/g)].map(([, quote = '']) => ({ page, path: join(dirname(page), path), quote }))
    )
  )
  t.ok(quotes.length > 10, `${quotes.length} quotes`)
  for (const { page, path, quote } of quotes) {
    const source = read(path).replaceAll('\\', '')
    // A quote may leave out words, marked by an ellipsis.
    for (const words of quote.split('…')) t.ok(source.includes(words.trim()), `${page}: "${quote}" in ${path}`)
  }
})

t.test('the README has 60 to 120 lines and starts with the two commands', async t => {
  const readme = read('README.md')
  const lines = readme.split('\n').length
  t.ok(lines >= 60 && lines <= 120, `${lines} lines`)
  const commands = [...readme.matchAll(/^```sh\n([\s\S]*?)\n```$/gm)].map(([, block]) => block)
  t.match(commands[0], /^npm ci && npm start(?:\s|$)/)
  t.match(commands[1], /^npm ci && npm test(?:\s|$)/)
})
