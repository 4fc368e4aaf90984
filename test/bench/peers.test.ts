import t from 'tap'
import { drawChart } from '../../bench/peers/chart.ts'
import { ReceiptLedger, total } from '../../bench/peers/ledger.ts'
import { merge, toSpeed, type Contest, type Results } from '../../bench/peers/results.ts'

t.test('the ledger of receipts counts what is lost, doubled and out of order', async t => {
  const ledger = new ReceiptLedger(6)
  for (const n of [1, 2, 2, 5, 4, 4, 4]) ledger.receive(n)
  ledger.announce()
  t.same(ledger.losses(), { expected: 6, lost: 2, doubled: 3, reordered: 1, announced: 1 })
  t.equal(ledger.distinct, 4)
  t.notOk(ledger.isComplete)
  for (const n of [3, 6]) ledger.receive(n)
  t.ok(ledger.isComplete)
  t.match(ledger.losses(), { lost: 0, doubled: 3, reordered: 2 }, '3 came after 5, and 6 in its turn')
})

t.test('the ledger of receipts refuses a number that was not published', async t => {
  const ledger = new ReceiptLedger(3)
  for (const n of [0, 4, 1.5, NaN]) t.throws(() => ledger.receive(n), /was not published/)
  t.same(ledger.losses(), { expected: 3, lost: 3, doubled: 0, reordered: 0, announced: 0 })
})

t.test('the losses of several runs are added up', async t => {
  const one = { expected: 10, lost: 1, doubled: 2, reordered: 3, announced: 4 }
  t.same(total([one, one]), { expected: 20, lost: 2, doubled: 4, reordered: 6, announced: 8 })
})

t.test('a ratio is the median of the ratios of the rounds, not a ratio of medians', async t => {
  const sample = (count: number) => ({ count, seconds: 1, cpuSeconds: 2 })
  const speed = toSpeed([10, 40, 90].map(sample), [10, 20, 30].map(sample))
  t.same(speed, {
    perSecond: 40,
    perCpuSecond: 20,
    ratio: { median: 2, lowest: 1, highest: 3 },
    cpuRatio: { median: 2, lowest: 1, highest: 3 }
  })
})

t.test('a contest that is measured again replaces its old results, and the others stay', async t => {
  const contest = (id: string, measuredAt: string): Contest => ({
    id, title: id, unit: 'events/s', rounds: 1, entries: [], skipped: [], measuredAt, loadBefore: 0, loadAfter: 0
  })
  const machine = { cores: 2, model: 'a', memoryGiB: 1, system: 'b', node: '20' }
  const results = (...contests: Contest[]): Results => ({ machine, contests })
  const merged = merge(results(contest('a', '1'), contest('b', '1')), results(contest('c', '2'), contest('a', '2')))
  t.same(merged.contests.map(({ id, measuredAt }) => `${id}${measuredAt}`), ['a2', 'b1', 'c2'])
  t.same(merge(undefined, results(contest('a', '1'))).contests.length, 1)
})

t.test('a chart says in text what it draws, in proportion, for light and dark pages', async t => {
  const svg = drawChart({
    title: 'A < B & C',
    description: 'A 2.00×, B 1.00×',
    bars: [
      { name: 'A', value: 2, text: '2.00×', isOurs: true }, { name: 'B', value: 1, text: '1.00×', isOurs: false },
      { name: 'none', value: 0, text: '0', isOurs: false }
    ]
  })
  t.match(svg, /^<svg [^>]*role="img" aria-labelledby="title description">/)
  t.match(svg, '<title id="title">A &lt; B &amp; C</title>')
  t.match(svg, '<desc id="description">A 2.00×, B 1.00×</desc>')
  t.match(svg, '@media (prefers-color-scheme: dark)')
  const bars = svg.matchAll(/<rect class="(?:ours|peer)"[^>]* width="([\d.]+)"/g)
  const widths = [...bars].map(([, width]) => Number(width))
  t.equal(widths.length, 3)
  t.equal(widths[0], (widths[1] ?? NaN) * 2)
  t.equal(widths[2], 0)
  for (const text of ['2.00×', '1.00×', 'none']) t.match(svg, `>${text}</text>`)
  t.notMatch(svg, /<script|href=|url\(/)
})
