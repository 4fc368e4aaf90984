import { execFile } from 'node:child_process'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import type { RealtimeEvent } from '../../schemas/events.ts'
import { call, made, type Reply } from '../support/rest.ts'
import { dataFolder, start } from '../support/server-process.ts'
import { setUp } from '../support/shop.ts'
import type { Teardown } from '../support/teardown.ts'
import { pace, until } from '../support/waiting.ts'

/*
 * The disk of PostgreSQL is full for a while. It is a small file system in memory, which only root can create.
 * DISK_ROUNDS sets the length.
 */

t.setTimeout(600_000)

const rounds = Number(process.env['DISK_ROUNDS'] ?? 1)
const run = promisify(execFile)
const topic = 'order.placed'
/** Makes the last file of the WAL fill up soon. */
const text = 'x'.repeat(100_000)

/** Returns undefined where mounting is not permitted. */
async function smallDisk (t: Teardown): Promise<string | undefined> {
  const folder = await dataFolder(t)
  if (process.geteuid?.() !== 0) return undefined
  try {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=320m,mode=755', 'tmpfs', folder])
  } catch {
    return undefined
  }
  t.teardown(async () => { await run('umount', ['-l', folder]) })
  return folder
}

/** Writes until the disk is full. */
async function fill (file: string): Promise<void> {
  const handle = await open(file, 'w')
  try {
    for (const size of [1024 * 1024, 4096]) {
      const chunk = Buffer.alloc(size)
      for (let isRoom = true; isRoom;) {
        isRoom = await handle.write(chunk).then(({ bytesWritten }) => bytesWritten === size, () =>
          false)
      }
    }
  } finally {
    await handle.close()
  }
}

const dataDir = await smallDisk(t)

t.test('a full disk is answered 503, loses nothing, and writes resume once there is space', {
  skip: dataDir === undefined && 'only root may mount a small file system'
}, async t => {
  if (dataDir === undefined) return
  const server = await start(t, { dataDir, variables: { LOG_LEVEL: 'fatal' } })
  const url = server.address
  const { token } = await setUp(url)
  await made(call('POST', `${url}/api/topics`, { token, body: { name: topic, description: 'A test', owner: 'tests' } }))
  const acked: { n: number, offset: number, id: string }[] = []
  const statuses = new Map<number, number>()
  let n = 0
  const over = new AbortController()
  t.teardown(() => over.abort())
  const writing = Promise.all(Array.from({ length: 4 }, async () => {
    while (!over.signal.aborted) {
      const own = n++
      const answer = await call('POST', `${url}/api/topics/${topic}/events`, {
        token,
        body: { payload: { n: own, text } }
      })
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
      if (answer.status === 201) {
        acked.push({ n: own, offset: (answer.body as RealtimeEvent).offset, id: (answer.body as RealtimeEvent).id })
      }
      await pace(answer.status === 201 ? 5 : 50)
    }
  }))
  const refused = () => statuses.get(503) ?? 0
  const resumed: number[] = []
  for (let round = 0; round < rounds; round++) {
    const before = acked.length
    await until(() => acked.length >= before + 20, 'writes')
    const ballast = join(dataDir, 'ballast')
    await fill(ballast)
    const refusedBefore = refused()
    await until(
      () => refused() >= refusedBefore + 20,
      () => `writes to be refused: ${JSON.stringify([...statuses])}`,
      60_000
    )
    t.equal((await call('GET', `${url}/health`)).status, 200, 'the server keeps running')
    await rm(ballast)
    const freedAt = performance.now()
    const after = acked.length
    await until(() => acked.length > after, 'writes to resume', 60_000)
    resumed.push(Math.round(performance.now() - freedAt))
  }
  over.abort()
  await writing
  t.same([...statuses.keys()].sort(), [201, 503], 'only 201 and 503')
  const log: { id: string, offset: number, n: number }[] = []
  for (let after: string | null = '0'; after !== null;) {
    const page: Reply = await call('GET', `${url}/api/topics/${topic}/events?limit=50&after=${after}`, { token })
    log.push(
      ...(page.body as RealtimeEvent[]).map(({ id, offset, payload }) => ({
        id, offset, n: (payload as { n: number }).n
      }))
    )
    after = page.headers.get('x-next-cursor')
  }
  t.same(log.map(({ offset }) => offset), Array.from({ length: log.length }, (_, i) => i + 1), 'the log has no gap')
  t.same(
    acked.filter(({ n, offset, id }) => log[offset - 1]?.id !== id || log[offset - 1]?.n !== n),
    [],
    `each of ${acked.length} acknowledged events is stored`
  )
  t.comment(`${acked.length} events, ${refused()} refused; writing again ${resumed.join(', ')} ms after there was room`)
  server.kill('SIGTERM')
  t.same(await server.exit, { code: 0, signal: null })
})
