import { existsSync } from 'node:fs'
import { cpus, release, totalmem, type as systemType } from 'node:os'
import { join } from 'node:path'
import { root } from '../../test/support/repository.ts'
import type { Context } from '../row.ts'
import { compareDeliveries } from './deliveries.ts'
import { readResults, resultsPath, toTable, writeDocuments } from './documents.ts'
import { compareFanOut } from './fan-out.ts'
import { comparePublishing } from './publish.ts'
import { merge, type Contest, type Results } from './results.ts'
import { compareResuming } from './resume.ts'

const contests: Record<string, (context: Context) => Promise<Contest[]>> = {
  publish: comparePublishing, fanout: compareFanOut, resume: compareResuming, deliveries: compareDeliveries
}

/** The names that may follow `npm run bench -- peers`. */
export const contestNames = Object.keys(contests)

/**
 * Compares the platform with the servers that are installed. With `isSaved`, writes the results and the documents that
 * are made of them; contests that were not run keep their results.
 */
export async function comparePeers (context: Context, wanted: readonly string[], isSaved: boolean): Promise<void> {
  const [cpu] = cpus()
  const results: Results = {
    machine: {
      cores: cpus().length,
      model: cpu?.model.trim() ?? 'unknown',
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      system: `${systemType()} ${release()}`,
      node: process.versions.node
    },
    contests: []
  }
  for (const name of contestNames) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    const measured = await contests[name]?.(context) ?? []
    for (const contest of measured) process.stdout.write(`\n${contest.title}\n\n${toTable(contest)}\n`)
    results.contests.push(...measured)
    const before = existsSync(join(root, resultsPath)) ? readResults(root) : undefined
    if (isSaved) writeDocuments(root, merge(before, results))
  }
}
