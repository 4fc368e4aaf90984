import pg from 'pg'
import { LogicalReplicationService, PgoutputPlugin, type Pgoutput } from 'pg-logical-replication'
import { answerCalls } from '../children.ts'
import { cpuSeconds } from './usage.ts'

/* The replication library alone: it decodes every row, drops it, and acknowledges each commit. */

let connectionString: string

async function start (url: string, table: string): Promise<void> {
  connectionString = url
  const client = new pg.Client({ connectionString })
  await client.connect()
  await client.query(`create publication bench_bare for table ${table}`)
  await client.query("select pg_create_logical_replication_slot('bench_bare', 'pgoutput')")
  await client.end()
}

/** Reads until that many rows have arrived; the clock starts with the first. */
async function round (rows: number): Promise<{ rows: number, seconds: number }> {
  const service = new LogicalReplicationService({ connectionString }, {
    acknowledge: { auto: false, timeoutSeconds: 0 }
  })
  let count = 0
  let begin = 0
  const seconds = await new Promise<number>((resolve, reject) => {
    service.on('error', reject)
    service.on('data', (lsn: string, message: Pgoutput.Message) => {
      if (message.tag === 'insert') {
        if (count++ === 0) begin = performance.now()
      } else if (message.tag === 'commit') {
        void service.acknowledge(lsn)
        if (count >= rows) resolve((performance.now() - begin) / 1000)
      }
    })
    service.subscribe(new PgoutputPlugin({ protoVersion: 1, publicationNames: ['bench_bare'] }), 'bench_bare').catch(
      reject
    )
  })
  // The acknowledgement must arrive before the end.
  await new Promise(resolve => setTimeout(resolve, 100))
  await service.destroy().catch(() => {})
  return { rows: count, seconds }
}

const methods = { start, round, cpuSeconds }
export type BareReplicationServer = typeof methods
answerCalls(methods)
