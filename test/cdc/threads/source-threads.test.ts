import { extname } from 'node:path'
import t from 'tap'
import { createSourceThreads } from '../../../src/cdc/threads/source-threads.ts'
import { until } from '../../support/waiting.ts'
import {
  answering, description, message, ready, row, startHostileServer, text, welcome
} from '../wire/hostile-server.ts'

/* Conversations with tenants' servers fail alone, whatever happens to their thread. */

t.setTimeout(600_000)

/** Compiled like this file. */
const hang = new URL(`fixtures/hang${extname(import.meta.filename)}`, import.meta.url).href

const honest = answering(description('answer'), row('42'), message('C', [text('SELECT 1')]), ready)
const ask = (threads: ReturnType<typeof createSourceThreads>, url: string, applicationId = 'app') =>
  threads.within(applicationId, url, async client => (await client.query('select 42 as answer')).rows[0]?.['answer'])

await t.test('a conversation that uses too much memory ends alone, and the next one gets a new thread', async t => {
  const threads = createSourceThreads({
    limits: { messageBytesMax: 2 ** 30, resultBytesMax: 2 ** 31 - 1 },
    resourceLimits: { maxOldGenerationSizeMb: 48, maxYoungGenerationSizeMb: 8 }
  })
  t.teardown(() => threads.close())
  const good = await startHostileServer(t, honest)
  const greedy = await startHostileServer(t, {
    ...honest,
    onMessage (peer, type) {
      if (type !== 'Q') return
      peer.send(description('answer'))
      peer.endlessly(row('x'.repeat(100)))
    }
  })
  t.equal(await ask(threads, good.url), '42')
  const [other, failed] = await Promise.allSettled([ask(threads, good.url), ask(threads, greedy.url)])
  t.match(other, { value: '42' })
  t.match(failed, { reason: { code: 'SOURCE_CRASHED', message: /memory/ } })
  t.equal(await ask(threads, good.url), '42')
})

await t.test('a hanging thread is ended without affecting others', async t => {
  const threads = createSourceThreads({ watchEveryMs: 100, missedMax: 20, preload: hang })
  t.teardown(() => threads.close())
  const good = await startHostileServer(t, honest)
  const hanging = await startHostileServer(
    t, answering(description('answer'), row('hang'), message('C', [text('SELECT 1')]), ready)
  )
  const [other, failed] = await Promise.allSettled([ask(threads, good.url), ask(threads, hanging.url)])
  t.match(other, { value: '42' })
  t.match(failed, { reason: { code: 'SOURCE_CRASHED', message: /hung/ } })
  t.equal(await ask(threads, good.url), '42')
})

await t.test('a crashing thread ends its streams and sessions', async t => {
  const threads = createSourceThreads({ preload: hang })
  t.teardown(() => threads.close())
  const crashing = await startHostileServer(
    t, answering(description('answer'), row('crash'), message('C', [text('SELECT 1')]), ready)
  )
  const { thread, release } = threads.forReader('app')
  const client = await thread.open(crashing.url)
  await t.rejects(client.query('select'), { code: 'SOURCE_CRASHED', message: /crashed/ })
  await t.rejects(client.query('select'), { code: 'SOURCE_CRASHED' })
  await t.rejects(thread.open(crashing.url), { code: 'SOURCE_CRASHED' })
  await release()
})

await t.test('an application is limited to a share of the conversations, so others need not wait', async t => {
  const threads = createSourceThreads({ conversationsMax: 2, conversationsOfApplicationMax: 1 })
  t.teardown(() => threads.close())
  const good = await startHostileServer(t, honest)
  const silent = await startHostileServer(t, {})
  const slow = Array.from({ length: 3 }, () => ask(threads, silent.url, 'slow').catch((error: Error) => error.message))
  let isOver = false
  void Promise.race(slow).then(() => { isOver = true })
  t.equal(await ask(threads, good.url, 'quick'), '42')
  t.notOk(isOver, 'before one of them ended')
  t.ok(silent.connections <= 1)
  await Promise.all(slow)
})

await t.test('a conversation with many slow queries is limited as a whole', async t => {
  const threads = createSourceThreads({ conversationsMax: 1, conversationMaxMs: 1500 })
  t.teardown(() => threads.close())
  const slow = await startHostileServer(t, {
    ...honest,
    onMessage: (...given) => {
      // A server that takes its time for every message.
      setTimeout(() => honest.onMessage?.(...given), 100)
    }
  })
  const endless = threads.within('app', slow.url, async client => {
    for (;;) await (await client.another({})).query('select')
  })
  await t.rejects(endless, { code: 'SOURCE_UNREACHABLE', message: /took longer than 1.5 s/ })
  const good = await startHostileServer(t, honest)
  await until(async () => await ask(threads, good.url).catch(() => undefined) === '42', 'its place to be free')
})

await t.test('an abort ends a running or waiting conversation', async t => {
  const threads = createSourceThreads({ conversationsMax: 1 })
  t.teardown(() => threads.close())
  const silent = await startHostileServer(t, {})
  const aborting = new AbortController()
  const talks = Array.from(
    { length: 3 }, () => threads.within('app', silent.url, client => client.query('select'), aborting.signal)
  )
  aborting.abort(new Error('enough'))
  for (const talk of talks) await t.rejects(talk, { message: 'enough' })
  t.equal(await ask(threads, (await startHostileServer(t, honest)).url), '42')
})

await t.test('an application gets a second conversation only while half of the capacity is free', async t => {
  const threads = createSourceThreads({ conversationsMax: 4 })
  const silent = await startHostileServer(t, { onStartup: peer => peer.send(welcome) })
  const good = await startHostileServer(t, honest)
  const slow = ['one', 'two'].flatMap(id =>
    [1, 2, 3].map(() => ask(threads, silent.url, id).catch((error: Error) => error))
  )
  t.equal(await ask(threads, good.url, 'quick'), '42')
  t.equal(await ask(threads, good.url, 'other'), '42')
  const many = Array.from({ length: 30 }, () => ask(threads, good.url, 'one').catch((error: Error) => error))
  t.match(await many.at(-1), { code: 'OVERLOADED' }, 'one application cannot fill the queue')
  await threads.close()
  t.match(
    await Promise.all([...slow, ...many]),
    Array.from({ length: 36 }, () => ({ code: /^(OVERLOADED|SOURCE_CRASHED)$/ })),
    'closing rejects everything that waits'
  )
})

await t.test('readers share threads when there are more readers than threads', async t => {
  const threads = createSourceThreads({ readerThreadsMax: 2 })
  t.teardown(() => threads.close())
  const good = await startHostileServer(t, honest)
  const leases = Array.from({ length: 5 }, () => threads.forReader('app'))
  t.equal(new Set(leases.map(({ thread }) => thread)).size, 2)
  const clients = await Promise.all(leases.map(({ thread }) => thread.open(good.url)))
  await leases[0]?.release()
  t.match(await clients[4]?.query('select'), { rows: [{ answer: '42' }] })
  await Promise.all(leases.slice(1).map(({ release }) => release()))
})

await t.test('when all threads together exceed the limit, the application that uses most loses a thread', async t => {
  const threads = createSourceThreads({
    watchEveryMs: 50, missedMax: 500, threadBytesMax: 160 * 1024 ** 2,
    limits: { messageBytesMax: 2 ** 30, resultBytesMax: 2 ** 31 - 1 }
  })
  t.teardown(() => threads.close())
  const good = await startHostileServer(t, honest)
  const { thread, release } = threads.forReader('modest')
  const modest = await thread.open(good.url)
  const greedy = await startHostileServer(t, {
    ...honest,
    onMessage (peer, type) {
      if (type !== 'Q') return
      peer.send(description('answer'))
      peer.endlessly(row('x'.repeat(100)))
    }
  })
  const reasons = await Promise.all(
    [1, 2, 3].map(() => ask(threads, greedy.url, 'greedy').catch((error: Error) => error.message))
  )
  t.ok(reasons.some(reason => /all conversations together/.test(String(reason))), reasons.join('; '))
  t.match(await modest.query('select'), { rows: [{ answer: '42' }] })
  await release()
})
