import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import type { Pgoutput } from 'pg-logical-replication'
import { ChangePipeline } from '../../../src/cdc/decoding/change-pipeline.ts'
import type { MappingSnapshot } from '../../../src/cdc/decoding/mapping-snapshot.ts'
import { Relations } from '../../../src/cdc/decoding/relations.ts'

/* The waits of the pipeline: for changes, for room for the next write, for a failure, for the end. */

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const client = { query: async () => ({ rows: [], rowCount: 0 }), another: async () => client, close: async () => {} }
const begin = (lsn: number): Pgoutput.Message => ({ tag: 'begin', commitLsn: `0/${lsn}`, commitTime: 0n, xid: 1 })
const commit = (lsn: number): Pgoutput.Message => ({
  tag: 'commit',
  flags: 0,
  commitLsn: `0/${lsn}`,
  commitEndLsn: `0/${lsn}`,
  commitTime: 0n
})

const noMappings: MappingSnapshot = { revision: 1, definitions: [], byTable: new Map(), tables: [] }

function piped (mappings: () => Promise<MappingSnapshot> = async () => noMappings) {
  const settled: bigint[] = []
  const pipeline = new ChangePipeline({
    place: { commitLsn: '0/0', changeIndex: 0 },
    confirmedLsn: 0n,
    carefulUntil: 0n,
    mappings: { current: mappings },
    relations: new Relations(client),
    write: async () => true,
    onPressure: () => {},
    onSettled: lsn => { settled.push(lsn) },
    onTruncate: () => {}
  })
  return {
    pipeline,
    settled,
    transaction: (lsn: number) => {
      for (const message of [begin(lsn), commit(lsn)]) pipeline.take(message, 10)
    }
  }
}

await t.test('memory does not grow with the number of rounds', async t => {
  const { pipeline, settled, transaction } = piped()
  const ending = new AbortController()
  const running = pipeline.run(ending.signal)
  const rounds = async (count: number) => {
    for (let i = 0; i < count; i++) {
      transaction(1)
      await turn()
    }
    settled.length = 0
    collectGarbage()
    return process.memoryUsage().heapUsed
  }
  const before = await rounds(5000)
  const after = await rounds(25_000)
  t.ok(after - before < 2_500_000, `${after - before} bytes more`)
  ending.abort()
  await running
})

await t.test('an abort ends a waiting pipeline', async () => {
  const { pipeline } = piped()
  const ending = new AbortController()
  const running = pipeline.run(ending.signal)
  await turn()
  ending.abort()
  await running
})

await t.test('a finished pipeline settles everything taken, then ends', async t => {
  const { pipeline, settled, transaction } = piped()
  transaction(1)
  transaction(2)
  pipeline.finish()
  await pipeline.run(new AbortController().signal)
  t.equal(settled.at(-1), 2n)
})

await t.test('a failure to read the mappings ends the pipeline', async t => {
  const { pipeline, transaction } = piped(async () => { throw new Error('no mappings') })
  const running = pipeline.run(new AbortController().signal)
  transaction(1)
  await t.rejects(running, { message: 'no mappings' })
})
