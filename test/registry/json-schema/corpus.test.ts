import t from 'tap'
import { runCorpus, shares } from './corpus.ts'
import { compareReadings } from './reading.ts'

// More with CORPUS_PAIRS=50000; by hand: node --import tsx test/registry/json-schema/corpus.ts 50000
const pairsMax = Number(process.env['CORPUS_PAIRS'] ?? 1_200)

t.test('no document refutes a verdict on generated pairs', t => {
  const report = runCorpus(pairsMax, { from: Number(process.env['CORPUS_FROM'] ?? 5_000_000) })
  t.comment(shares(report))
  t.same(report.wrong, [])
  const judged = report.pairs - report.unusable
  const undecided = Object.values(report.cannotBeShown).reduce((sum, count) => sum + count, 0)
  t.ok(report.compatible > judged / 4, 'many pairs are compatible')
  t.ok(report.incompatible > judged / 4, 'many pairs are incompatible, with a confirmed witness')
  t.ok(undecided <= judged / 100, 'at most one pair in a hundred cannot be decided')
  t.end()
})

t.test('the checker and the validator read every schema in the same way', t => {
  const { compared, different } = compareReadings(400)
  t.ok(compared > 5_000)
  t.same(different, [])
  t.end()
})
