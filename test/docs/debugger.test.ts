import t from 'tap'
import { traceStatuses } from '../../schemas/debugger.ts'
import { causes } from '../../src/debugger/verdict.ts'
import { namedSubscriptionsMax } from '../../src/delivery/delivery-observer.ts'
import { read, sources } from '../support/repository.ts'
import { generatedPart, table } from './generated.ts'

t.test('docs/DEBUGGER.md lists every cause, and the code uses every cause', async t => {
  const { found, wanted } = generatedPart(
    'docs/DEBUGGER.md',
    'causes',
    table(['`cause`', 'meaning'], Object.entries(causes).map(([code, meaning]) => [`\`${code}\``, meaning]))
  )
  t.equal(found, wanted, 'run the test with UPDATE_DOCS=1 to update it')
  const declaration = /export const causes = \{[\s\S]*?\n\}/
  const texts = [...sources('src/debugger').values()]
  t.equal(texts.filter(text => declaration.test(text)).length, 1)
  const given = texts.map(text => text.replace(declaration, '')).join()
  for (const code of Object.keys(causes)) t.match(given, `'${code}'`, code)
})

t.test('statuses and numbers in docs/DEBUGGER.md are those of the code', async t => {
  const text = read('docs/DEBUGGER.md')
  for (const status of traceStatuses) t.match(text, `| \`${status}\` |`)
  t.match(text, `the first ${namedSubscriptionsMax} of each`)
})
