import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { filesOf, partsOf, readResults, writeDocuments } from '../../bench/peers/documents.ts'
import { measuredBy, sizes } from '../../bench/sizing.ts'
import { read, root } from '../support/repository.ts'
import { generatedPart } from './generated.ts'

const page = 'docs/PERFORMANCE.md'
const results = readResults(root)
if (process.env['UPDATE_DOCS'] === '1') writeDocuments(root, results)

t.test('the tables of docs/PERFORMANCE.md are made of the results', async t => {
  t.ok(results.contests.length > 3, `${results.contests.length} contests`)
  for (const [name, wanted] of partsOf(results)) t.equal(generatedPart(page, name, wanted).found, wanted, name)
})

t.test('bench/PEERS.md and the charts are made of the results', async t => {
  const files = filesOf(results)
  t.ok(files.size > 5, `${files.size} files`)
  for (const [path, wanted] of files) t.equal(existsSync(join(root, path)) && read(path), wanted, path)
})

t.test('docs/DEPLOYMENT.md promises no more than bench/RESULTS.md measured', async t => {
  const [, section = ''] = /## Sizing\n([\s\S]*?)\n## /.exec(read('docs/DEPLOYMENT.md')) ?? []
  const lines = [...section.matchAll(/^\| (.*) \| ([\d,]+) per second/gm)]
  const promised = new Map(lines.map(([, work = '', figure = '']) => [work, Number(figure.replaceAll(',', ''))]))
  t.same([...promised.keys()], sizes.map(({ work }) => work))
  for (const { work, row, what } of sizes) {
    const measured = measuredBy(read('bench/RESULTS.md'), row, what)
    const figure = promised.get(work) ?? NaN
    t.ok(figure <= measured * 1.05, `${work}: ${figure} of ${measured}`)
  }
})
