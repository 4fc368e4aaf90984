import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { read, root } from './generated.ts'

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

t.test('the README has 60 to 120 lines and starts with the two commands', async t => {
  const readme = read('README.md')
  const lines = readme.split('\n').length
  t.ok(lines >= 60 && lines <= 120, `${lines} lines`)
  const commands = [...readme.matchAll(/^```sh\n([\s\S]*?)\n```$/gm)].map(([, block]) => block)
  t.match(commands[0], /^npm ci && npm start(?:\s|$)/)
  t.match(commands[1], /^npm ci && npm test(?:\s|$)/)
})
