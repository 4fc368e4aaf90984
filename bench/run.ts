import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { heapArguments } from '../test/support/node-arguments.ts'
import { startTestPostgres } from '../test/support/postgres.ts'
import { toGrowthTable } from './growth/growth.ts'
import { growths, measureGrowths } from './growth/growths.ts'
import type { Measurement } from './measure.ts'
import { comparePeers, contestNames } from './peers/peers.ts'
import type { Context, Row } from './row.ts'
import { applications } from './rows/applications.ts'
import { authentication } from './rows/authentication.ts'
import { browser } from './rows/browser.ts'
import { cdc, cdcLatency } from './rows/cdc.ts'
import { merge, read } from './rows/documents.ts'
import { burst, fanOut } from './rows/fan-out.ts'
import { filters } from './rows/filters.ts'
import { idleMemory } from './rows/idle-memory.ts'
import { latency } from './rows/latency.ts'
import { nodes } from './rows/nodes.ts'
import { publish } from './rows/publish.ts'
import { series } from './rows/series.ts'
import { singlePublishes } from './rows/single-publishes.ts'
import { start } from './rows/start.ts'
import { tracing } from './rows/tracing.ts'
import { validation } from './rows/validation.ts'
import { enqueue, neighbours, webhooks } from './rows/webhooks.ts'
import { workers } from './rows/workers.ts'
import { toResults, toTable } from './table.ts'

const rows: Row[] = [
  read,
  merge,
  authentication,
  singlePublishes,
  publish,
  tracing,
  series,
  validation,
  fanOut,
  burst,
  filters,
  latency,
  browser,
  idleMemory,
  cdc,
  cdcLatency,
  enqueue,
  webhooks,
  neighbours,
  applications,
  nodes,
  workers,
  start
]

const options = {
  save: { type: 'boolean', default: false },
  growth: { type: 'boolean', default: false },
  'up-to': { type: 'string', default: 'Infinity' },
  'cpu-prof': { type: 'string' }
} as const

/**
 * `npm run bench`: runs every row, or those named as arguments. `--growth` measures how costs grow instead, at sizes up
 * to `--up-to`. `--save` writes bench/RESULTS.md or bench/GROWTH.md, `--cpu-prof <folder>` profiles the servers.
 * `npm run bench -- peers` compares the platform with other servers, in all contests or in those that are named.
 */
async function main (): Promise<void> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options })
  const [first, ...others] = positionals
  const isPeers = first === 'peers'
  const known = isPeers ? contestNames : (values.growth ? growths : rows).map(({ name }) => name)
  const named = isPeers ? others : positionals
  const unknown = named.filter(name => !known.includes(name))
  if (unknown.length > 0) throw new Error(`no such row: ${unknown.join(', ')}. The rows are ${known.join(', ')}`)
  const wanted = named.length > 0 ? named : known
  const profiles = values['cpu-prof']
  const postgres = await startTestPostgres({ isDurable: true })
  const context: Context = {
    databaseUrl: postgres.url,
    serverArgv: [...heapArguments, ...(profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`])]
  }
  try {
    if (isPeers) return await comparePeers(context, wanted, values.save)
    const [table, file] = values.growth
      ? [toGrowthTable(await measureGrowths(context, wanted, Number(values['up-to']))), 'GROWTH.md']
      : [toTable(await measureRows(context, wanted)), 'RESULTS.md']
    process.stdout.write(table)
    if (values.save) await writeFile(join('bench', file), toResults(table, values.growth))
  } finally {
    await postgres.stop()
  }
}

async function measureRows (context: Context, wanted: readonly string[]): Promise<Measurement[]> {
  const measured: Measurement[] = []
  for (const row of rows) {
    if (!wanted.includes(row.name)) continue
    process.stderr.write(`${row.name} …\n`)
    measured.push(...await row.run(context))
  }
  return measured
}

await main()
