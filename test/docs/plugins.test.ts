import t from 'tap'
import { generatedPart, table } from './generated.ts'
import { sources } from '../support/repository.ts'

/** Returns the first sentence of the doc comment of the plugin. */
function purposeOf (text: string): string {
  const [, comment = ''] = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*export default fp\b/.exec(text) ?? []
  const [, sentence = ''] = /^([\s\S]*?\.)(?: |$)/.exec(comment.replaceAll(/\s*\n \*\s?|\s+/g, ' ').trim()) ?? []
  return sentence
}

/** Returns the names that the plugin adds to the app, to each request and to each reply. */
function addedBy (text: string): string[] {
  const decorations = text.matchAll(/\.decorate(Request|Reply)?(?:<[^>]*>)?\(\s*'(\w+)'/g)
  return [...new Set([...decorations].map(([, target = 'app', name = '']) => `\`${target.toLowerCase()}.${name}\``))]
}

/** Returns the folders of `src/` that the parts come from, without those of types. */
function foldersOf (text: string): string[] {
  const imports = text.matchAll(/^import (?!type\b)[^'"]*['"]\.\.\/src\/([a-z-]+\/)/gm)
  return [...new Set([...imports].map(([, folder = '']) => `[${folder}](../src/${folder.slice(0, -1)})`))].sort()
}

t.test('docs/PLUGINS.md has every plugin', async t => {
  const rows = [...sources('plugins')].sort(([a], [b]) => a < b ? -1 : 1).map(([path, text]) => {
    const purpose = purposeOf(text)
    t.ok(purpose.length > 0, `${path} has a doc comment`)
    return [
      `[${path.slice('plugins/'.length)}](../${path})`, purpose, addedBy(text).join(', '), foldersOf(text).join(', ')
    ]
  })
  const { found, wanted } = generatedPart(
    'docs/PLUGINS.md', 'plugins', table(['plugin', 'purpose', 'adds', 'builds it from'], rows)
  )
  t.equal(found, wanted, 'run the test with UPDATE_DOCS=1 to update it')
})
