import t from 'tap'
import { lossProblems, sourceProblems, type SourceProblem } from '../../src/database/source.ts'
import { generatedPart, read, sources, table } from './generated.ts'

t.test('docs/DATABASE.md has every problem of a connection', async t => {
  const rows = Object.entries(sourceProblems).map(([code, sentence]) => [`\`${code}\``, sentence, lossProblems.has(code as SourceProblem) ? 'yes' : 'no'])
  const { found, wanted } = generatedPart('docs/DATABASE.md', 'source-problems', table(['code', 'meaning', 'changes are lost'], rows))
  t.equal(found, wanted, 'bring it into line with UPDATE_DOCS=1')
})

t.test('each of them is given somewhere', async t => {
  const text = [...sources('src/database').values()].join('\n')
  for (const code of Object.keys(sourceProblems)) t.ok(text.split(`'${code}'`).length > 1, code)
})

t.test('its example is a mapping', async t => {
  const { compileMapping } = await import('../../src/database/compiled-mapping.ts')
  const example = /```json\n([\s\S]*?)\n```/.exec(read('docs/DATABASE.md'))?.[1] ?? ''
  t.same([...compileMapping(JSON.parse(example)).columns.keys()].sort(), ['ended_at', 'id', 'status'])
})
