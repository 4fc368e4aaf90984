import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startTestPostgres } from '../test/build.ts'
import type { Measurement } from './measure.ts'
import type { Row } from './row.ts'
import { merge, read } from './rows/documents.ts'
import { burst, fanOut } from './rows/fan-out.ts'
import { filters } from './rows/filters.ts'
import { idleMemory } from './rows/idle-memory.ts'
import { latency } from './rows/latency.ts'
import { publish } from './rows/publish.ts'
import { start } from './rows/start.ts'
import { validation } from './rows/validation.ts'
import { toResults, toTable } from './table.ts'

const rows: Row[] = [read, merge, publish, validation, fanOut, burst, filters, latency, idleMemory, start]

/** `npm run bench`: every row, or those that are named. `--save` writes bench/RESULTS.md, `--cpu-prof <folder>` profiles the servers. */
async function main (): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true, options: { save: { type: 'boolean', default: false }, 'cpu-prof': { type: 'string' } }
  })
  const unknown = positionals.filter(name => !rows.some(row => row.name === name))
  if (unknown.length > 0) throw new Error(`no such row: ${unknown.join(', ')}; there are ${rows.map(row => row.name).join(', ')}`)
  const profiles = values['cpu-prof']
  const postgres = await startTestPostgres({ isDurable: true })
  const measured: Measurement[] = []
  try {
    for (const row of rows) {
      if (positionals.length > 0 && !positionals.includes(row.name)) continue
      process.stderr.write(`${row.name} …\n`)
      measured.push(...await row.run({
        databaseUrl: postgres.url, serverArgv: profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`]
      }))
    }
  } finally {
    await postgres.stop()
  }
  process.stdout.write(toTable(measured))
  if (values.save) await writeFile(join('bench', 'RESULTS.md'), toResults(measured))
}

await main()
