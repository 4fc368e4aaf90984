import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import pg from 'pg'
import t from 'tap'
import { createDatabase } from '../support/database.ts'
import { call, made } from '../support/rest.ts'
import { dataFolder, start, type ServerProcess } from '../support/server-process.ts'
import { setUp } from '../support/shop.ts'
import { pace, until } from '../support/waiting.ts'

/*
 * No delivery is lost, whatever the endpoints do and however often the server is killed. Each run includes the short
 * form; variables start the long one:
 *
 *   WEBHOOK_EVENTS=50000 WEBHOOK_KILLS=10 WEBHOOK_NODES=1 node --import tsx test/faults/webhooks-kill.test.ts
 */

const eventsCount = Number(process.env['WEBHOOK_EVENTS'] ?? 200)
const kills = Number(process.env['WEBHOOK_KILLS'] ?? 1)
const onlyNodes = process.env['WEBHOOK_NODES']
t.setTimeout(onlyNodes === undefined ? 170_000 : 3_600_000)

const topic = 'order.placed'
const batch = Math.max(10, Math.min(100, Math.ceil(eventsCount / 50)))
const kinds = [
  'fast', 'slow', 'flapping', 'dead', 'resetting', 'silent', 'picky', 'busy', 'ordered', 'ordered-flapping'
] as const
type Kind = typeof kinds[number]
const each = onlyNodes === undefined ? 1 : 2
const endpoints = [...kinds, ...kinds].slice(0, each * kinds.length).map((kind, i) => ({ kind, path: `/${i}/${kind}` }))

/** Received requests by endpoint: how often each event was answered 200, and how often it was requested. */
class Sink {
  readonly delivered = new Map<string, Map<string, number>>()
  requests = 0
  readonly overlaps: string[] = []
  readonly disorders: string[] = []
  readonly #underWay = new Map<string, number>()
  readonly #lastOf = new Map<string, number>()
  readonly #server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => {})
    request.on('end', () => {
      const { data } = JSON.parse(Buffer.concat(chunks).toString()) as {
        data: { id: string, key: string, offset: number }
      }
      this.#take(request.url ?? '', data, response, request.socket)
    })
  })

  async open (): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  close (): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  #take (
    path: string, { id, key, offset }: { id: string, key: string, offset: number }, response: ServerResponse,
    socket: Socket
  ): void {
    this.requests++
    const kind = path.split('/')[2] as Kind
    const isOrdered = kind.startsWith('ordered')
    const lane = `${path} ${key}`
    if (isOrdered) {
      const count = (this.#underWay.get(lane) ?? 0) + 1
      this.#underWay.set(lane, count)
      if (count > 1) this.overlaps.push(`${lane} ${offset}`)
      if (offset < (this.#lastOf.get(lane) ?? 0)) {
        this.disorders.push(`${lane} ${offset} after ${this.#lastOf.get(lane) ?? 0}`)
      }
      this.#lastOf.set(lane, offset)
      response.once('close', () => this.#underWay.set(lane, (this.#underWay.get(lane) ?? 1) - 1))
    }
    const ok = () => {
      const own = this.delivered.get(path) ?? new Map<string, number>()
      this.delivered.set(path, own.set(id, (own.get(id) ?? 0) + 1))
      response.writeHead(200).end()
    }
    switch (kind) {
      case 'slow': setTimeout(ok, 20); return
      case 'flapping': case 'ordered-flapping': Math.random() < 0.3 ? response.writeHead(503).end() : ok(); return
      case 'dead': response.writeHead(500).end(); return
      case 'resetting':
        if (Math.random() < 0.5) return ok()
        response.writeHead(200, { 'content-length': '10' }).write('half')
        setImmediate(() => socket.destroy())
        return
      case 'silent': return
      case 'picky': Number(offset) % 50 === 0 ? response.writeHead(400).end() : ok(); return
      case 'busy': Math.random() < 0.02 ? response.writeHead(429, { 'retry-after': '0' }).end() : ok(); return
      default: ok()
    }
  }
}

for (const nodes of onlyNodes === undefined ? [1, 2] : [Number(onlyNodes)]) {
  const victims = nodes === 1 ? 'a server' : 'one of two servers on one database'
  const promise = `each of ${eventsCount} events is delivered to each endpoint or dead`
  await t.test(`${promise} although ${victims} is killed ${kills} times`, async t => {
    const databaseUrl = await createDatabase(t)
    const sink = new Sink()
    t.teardown(() => sink.close())
    const target = await sink.open()
    const variables = {
      DATABASE_URL: databaseUrl,
      ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
      LOG_LEVEL: 'error',
      WEBHOOK_ALLOW_PRIVATE: 'true',
      WEBHOOK_TIMEOUT_MS: onlyNodes === undefined ? '1000' : '2000',
      WEBHOOK_RETRY_SCHEDULE: '50ms,100ms,200ms,400ms,800ms'
    }
    const folders = await Promise.all(Array.from({ length: nodes }, () => dataFolder(t)))
    /** On a busy machine a start can time out: start the server again, as an operator would. */
    const begin = async (i: number) => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await start(t, { dataDir: folders[i] as string, variables, startTimeoutMs: 120_000 })
        } catch (error) {
          if (attempt === 5) throw error
        }
      }
    }
    const servers: (ServerProcess & { address: string })[] = [await begin(0)]
    for (let i = 1; i < nodes; i++) servers.push(await begin(i))
    const { token } = await setUp(servers[0]?.address ?? '')
    const at = (i: number) => servers[i % nodes]?.address ?? ''
    await made(
      call('POST', `${at(0)}/api/topics`, { token, body: { name: topic, description: 'A test', owner: 'tests' } })
    )
    for (const { kind, path } of endpoints) {
      await made(
        call('POST', `${at(0)}/api/webhooks`, {
          token,
          body: {
            url: target + path, events: ['topic.event'], description: kind,
            ordering: kind.startsWith('ordered') ? 'key' : 'none'
          }
        })
      )
    }

    const db = new pg.Client({ connectionString: databaseUrl })
    db.on('error', () => {})
    await db.connect()
    t.teardown(() => db.end())
    const one = async (sql: string) =>
      Number(Object.values((await db.query<Record<string, unknown>>(sql)).rows[0] ?? {})[0])

    // Writers that outlive every kill publish acknowledged events in batches.
    const acked = new Set<string>()
    let n = 0
    let refused = 0
    const over = new AbortController()
    t.teardown(() => over.abort())
    const write = async (writer: number) => {
      while (acked.size < eventsCount && !over.signal.aborted) {
        const events = Array.from({ length: batch }, () => ({ key: `k${n % 40}`, payload: { n: n++ } }))
        const answer = await call('POST', `${at(writer)}/api/topics/${topic}/events`, { token, body: { events } })
          .catch(() => undefined)
        if (answer?.status === 201) { for (const { id } of answer.body as { id: string }[]) acked.add(id) } else {
          refused++
          await pace(50)
        }
      }
    }
    const writing = Promise.all([0, 1, 2].map(write))
    for (let kill = 1; kill <= kills; kill++) {
      const wanted = eventsCount * kill / (kills + 1)
      await until(() => acked.size >= wanted, 'writes', 600_000)
      const victim = (kill - 1) % nodes
      servers[victim]?.kill('SIGKILL')
      await servers[victim]?.exit
      servers[victim] = await begin(victim)
    }
    await writing

    // Uses the partial indexes on pending deliveries: counting a million rows repeatedly would be most of the load.
    const isOver = async () => (await db.query<{ is_over: boolean }>(`select not exists (select from webhook_outbox)
      and not exists (select from webhook_deliveries where state = 'pending' and lane is null)
      and not exists (select from webhook_deliveries where state = 'pending' and lane is not null) as is_over`)).rows[0]
      ?.is_over === true
    await until(isOver, 'everything to be delivered or dead', 1_800_000)

    const logged = await one("select count(*) from events where topic = 'order.placed'")
    t.ok(
      acked.size >= eventsCount && logged >= acked.size,
      `${acked.size} events acknowledged, ${logged} in the log, ${refused} writes refused or interrupted`
    )
    t.equal(
      await one('select count(*) from webhook_deliveries'), logged * endpoints.length,
      'each event of the log has one delivery to each endpoint'
    )
    t.equal(
      await one(
        'select count(*) from (select 1 from webhook_deliveries group by webhook_id, event_id having count(*) > 1) ' +
          'twice'
      ),
      0
    )

    const { rows } = await db.query<{ url: string, event_id: string, state: string }>(
      'select w.url, d.event_id, d.state from webhook_deliveries d join webhooks w on w.id = d.webhook_id'
    )
    const lost: string[] = []
    const counts = new Map<string, { delivered: number, dead: number }>()
    for (const { url, event_id: id, state } of rows) {
      const path = new URL(url).pathname
      const kind = path.split('/')[2] as string
      const count = counts.get(kind) ?? { delivered: 0, dead: 0 }
      counts.set(kind, count)
      if (state === 'delivered') count.delivered++
      else count.dead++
      if (state !== 'dead' && sink.delivered.get(path)?.has(id) !== true) lost.push(`${path} ${id} is ${state}`)
    }
    t.strictSame(lost.slice(0, 10), [], 'every delivery marked as delivered has arrived')
    for (const kind of ['fast', 'slow', 'ordered'] as const) {
      t.match(counts.get(kind), { delivered: each * logged, dead: 0 }, `${kind} endpoints received everything`)
    }
    for (const kind of ['dead', 'silent'] as const) {
      t.match(counts.get(kind), { delivered: 0, dead: each * logged }, `deliveries to ${kind} endpoints are dead`)
    }

    for (const kind of ['flapping', 'resetting', 'ordered-flapping'] as const) {
      const { dead = NaN } = counts.get(kind) ?? {}
      t.ok(
        dead < 0.05 * each * logged,
        `${dead} deliveries to ${kind} endpoints are dead: only those that failed six times in a row`
      )
    }

    const attempts = await one('select count(*) from webhook_attempts where duration_ms is not null')
    const interrupted = await one('select count(*) from webhook_attempts where error like \'Interrupted%\'')
    const unlogged = sink.requests - attempts
    t.ok(
      unlogged <= interrupted,
      `${sink.requests} requests arrived; the log has ${attempts} with a result and ${interrupted} interrupted ones`
    )
    t.equal(
      await one(
        'select count(*) from webhook_deliveries d where attempts <> (select count(*) from webhook_attempts a ' +
          "where a.delivery_id = d.id and coalesce(a.error, '') not like 'Given up: %')"
      ),
      0,
      'each attempt is in the log'
    )

    let twice = 0
    let all = 0
    for (const own of sink.delivered.values()) {
      for (const count of own.values()) {
        all++
        twice += count - 1
      }
    }
    t.comment(
      `${nodes} node(s), ${kills} kills, ${logged} events, ${endpoints.length} endpoints: ${all} delivered, ` +
        `${twice} of them again (${
        (100 * twice / (all + twice)).toFixed(3)
      } %); ${JSON.stringify(Object.fromEntries(counts))}`
    )
    t.ok(
      twice <= interrupted + rows.length * (onlyNodes === undefined ? 0.2 : 0.02),
      'repeated deliveries were in flight at a kill, or answered too late to be counted'
    )
    if (kills === 0) t.strictSame(sink.overlaps, [])
    t.comment(`ordered lanes: ${sink.overlaps.length} overlaps, ${sink.disorders.length} steps back`)
    t.strictSame(sink.disorders.slice(0, 10), [], 'within a key nothing arrives after a later event')
  })
}
