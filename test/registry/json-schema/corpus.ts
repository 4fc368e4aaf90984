import { compareSchemas, GaveUp, writerSchema } from '../../../src/registry/json-schema/compatibility/compatibility.ts'
import type { CompatibilityPolicy } from '../../../src/registry/json-schema/compatibility/compatibility-mode.ts'
import { compileValidator } from '../../../src/registry/json-schema/validation/validators.ts'
import { Random } from '../../support/random.ts'
import { randomDocument } from './attack.ts'
import { document, mutate } from './generate.ts'

/**
 * The results for a corpus of generated pairs. `wrong` lists each pair whose verdict a document refutes; it must be
 * empty.
 */
export interface Report {
  pairs: number
  unusable: number
  compatible: number
  incompatible: number
  cannotBeShown: Record<string, number>
  documents: number
  applicable: number
  slowestMs: number
  wrong: { seed: number, policy: string, writer: unknown, reader: unknown, document: unknown, problem: string }[]
  undecided: { seed: number, policy: string, reason: string, writer: unknown, reader: unknown, change: string }[]
}

/** Runs pairs `from` to `from + count` of the corpus. Each pair depends only on its number. */
export function runCorpus (count: number, { from = 0, documents = 60, keep = 20 } = {}): Report {
  const report: Report = {
    pairs: 0, unusable: 0, compatible: 0, incompatible: 0, cannotBeShown: {}, documents: 0, applicable: 0, slowestMs: 0,
    wrong: [], undecided: []
  }
  for (let seed = from; seed < from + count; seed++) runPair(seed, documents, keep, report)
  return report
}

function runPair (seed: number, documents: number, keep: number, report: Report): void {
  const random = new Random(seed * 7919 + 13)
  const depth = 1 + random.below(3)
  const writer = document(random, depth)
  const reader = random.chance(0.92) ? mutate(random, writer, depth) : document(random, depth)
  const policy = random.pick<CompatibilityPolicy>(['strict', 'lenient'])
  report.pairs++
  const start = performance.now()
  let verdict
  try {
    verdict = compareSchemas(writer, reader, { policy })
  } catch (error) {
    if (error instanceof GaveUp) report.cannotBeShown['gave-up'] = (report.cannotBeShown['gave-up'] ?? 0) + 1
    else report.unusable++
    return
  }
  report.slowestMs = Math.max(report.slowestMs, performance.now() - start)
  const sent = writerSchema(writer, policy)
  const isSent = compileValidator(sent)
  const isTaken = compileValidator(reader)
  const refuted = (candidate: unknown): boolean => isSent.isValid(candidate) && !isTaken.isValid(candidate)

  if (verdict.compatible) {
    report.compatible++
    for (let i = 0; i < documents; i++) {
      const candidate = randomDocument(random, i % 3 === 2 ? reader : writer, i % 3 === 2 ? reader : writer)
      report.documents++
      if (isSent.isValid(candidate)) report.applicable++
      if (refuted(candidate)) {
        report.wrong.push({ seed, policy, writer, reader, document: candidate, problem: 'compatible, yet refuted' })
        break
      }
    }
    return
  }
  const broken = verdict.changes.filter(change => !change.compatible)
  const witnessed = broken.filter(change => 'witness' in change)
  for (const change of witnessed) {
    if (!refuted(change.witness)) {
      report.wrong.push({
        seed,
        policy,
        writer,
        reader,
        document: change.witness,
        problem: 'witness proves nothing'
      })
    }
  }
  if (witnessed.length > 0) report.incompatible++
  else {
    const reason = broken[0]?.reason ?? 'none'
    report.cannotBeShown[reason] = (report.cannotBeShown[reason] ?? 0) + 1
    if (report.undecided.length < keep) {
      report.undecided.push({ seed, policy, reason, writer, reader, change: broken[0]?.message ?? '' })
    }
  }
}

export function shares (report: Report): Record<string, string> {
  const judged = report.pairs - report.unusable
  const share = (count: number): string => `${count} (${(100 * count / judged).toFixed(2)} %)`
  const undecided = Object.values(report.cannotBeShown).reduce((sum, count) => sum + count, 0)
  return {
    pairs: String(report.pairs),
    unusable: String(report.unusable),
    compatible: share(report.compatible),
    'incompatible with witness': share(report.incompatible),
    'cannot be shown': share(undecided),
    ...Object.fromEntries(Object.entries(report.cannotBeShown).map(([reason, count]) => [`  ${reason}`, share(count)])),
    'attack documents': `${report.documents}, ${report.applicable} of them accepted by the writer`,
    'slowest verdict': `${report.slowestMs.toFixed(0)} ms`,
    wrong: String(report.wrong.length)
  }
}

// node --import tsx test/registry/json-schema/corpus.ts 50000 [from]
if (
  process.argv[1] !== undefined && import.meta.url.endsWith(process.argv[1].replace(/^.*\//, '/')) &&
  process.argv[2] !== undefined
) {
  const report = runCorpus(Number(process.argv[2]), { from: Number(process.argv[3] ?? 0) })
  console.table(shares(report))
  for (const one of [...report.wrong.slice(0, 10), ...report.undecided]) console.log(JSON.stringify(one))
}
