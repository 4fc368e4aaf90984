import pg from 'pg'
import t from 'tap'
import type { Deployment } from '../../schemas/deployments.ts'
import { build } from '../support/build.ts'
import { objectWith, team } from '../support/deployments.ts'
import { until } from '../support/waiting.ts'

/* An application of a deployment fails, dies or meets other changes at each of its statements. */

t.setTimeout(600_000)

const { app, databaseUrl } = await build(t)
const { app: otherNode } = await build(t, { databaseUrl })
const client = new pg.Client({ connectionString: databaseUrl })
await client.connect()
t.teardown(() => client.end())

/** A team with an item of each kind, and its deployment. */
async function prepared (node = app) {
  const own = await team(node)
  const { author, topic, schema, made } = own
  await topic('order.placed')
  await schema('order.placed', objectWith('id'))
  await topic('order.paid')
  await topic('order.paid', 'staging', 'As before')
  await schema('order.paid', { ...objectWith('id'), title: 'new' })
  await schema('order.paid', objectWith('id'), 'staging')
  const { status, text, body } = await author.create([
    { kind: 'topic', name: 'order.placed' }, { kind: 'topic', name: 'order.paid' },
    { kind: 'schema', name: 'order.paid' }, { kind: 'schema', name: 'order.placed' }
  ])
  if (status !== 201) throw new Error(text)
  return { ...own, made, id: (body as Deployment).id }
}

const places = [
  ['topics', 'insert'], ['topics', 'update'], ['schemas', 'insert'], ['audit_log', 'insert'],
  ['deployment_items', 'update'], ['deployments', 'update']
] as const

/** Runs a statement within every transaction of the application that reaches a place. */
async function sabotage (
  [table, operation]: typeof places[number], statement: string, work: () => Promise<void>, timing = 'after'
) {
  await client.query(`
    create function sabotage() returns trigger language plpgsql as $$ begin ${statement}; return null; end $$;
    create ${timing === 'deferred' ? 'constraint' : ''} trigger sabotage after ${operation} on ${table}
      ${timing === 'deferred' ? 'initially deferred' : ''} for each row execute function sabotage()`)
  try {
    await work()
  } finally {
    await client.query(`drop trigger sabotage on ${table}; drop function sabotage()`)
  }
}

t.test('a killed connection at any statement leaves nothing behind', async t => {
  const { author, id, everything } = await prepared()
  const before = await everything()
  for (const place of places) {
    await sabotage(place, 'perform pg_terminate_backend(pg_backend_pid())', async () => {
      t.match(await author.act(id, 'apply'), { status: 503, body: { code: 'DATABASE_UNAVAILABLE' } }, place.join(' '))
    })
    t.equal(await everything(), before, 'nothing was changed')
  }
  t.equal((await author.act(id, 'apply')).status, 200, 'and it can be applied')
})

t.test('a statement that fails, also at the commit, leaves nothing behind', async t => {
  const { author, id, everything } = await prepared()
  const before = await everything()
  for (const timing of ['after', 'deferred']) {
    for (const place of places) {
      await sabotage(place, "raise exception 'no'", async () => {
        t.equal((await author.act(id, 'apply')).status, 500, `${place.join(' ')} ${timing}`)
      }, timing)
      t.equal(await everything(), before, 'nothing was changed')
    }
  }
  t.equal((await author.act(id, 'apply')).status, 200)
  const applied = await everything()
  for (const place of [['topics', 'update'], ['audit_log', 'insert'], ['deployments', 'update']] as const) {
    await sabotage(place, "raise exception 'no'", async () => {
      t.equal((await author.act(id, 'rollback')).status, 500, `rollback ${place.join(' ')}`)
    })
    t.equal(await everything(), applied, 'nothing was rolled back')
  }
  t.equal((await author.act(id, 'rollback')).status, 200)
})

/** Runs a statement in a transaction, and commits it once `work` waits for one of its locks. */
async function inBetween (statement: string, values: unknown[], work: () => Promise<unknown>): Promise<unknown> {
  await client.query('begin')
  await client.query(statement, values)
  const result = work()
  await until(async () => {
    const { rows: [row] } = await client.query(
      'select exists (select from pg_stat_activity where pg_backend_pid() = any(pg_blocking_pids(pid))) as waits'
    )
    return row.waits
  }, 'the request waits for the lock')
  await client.query('commit')
  return await result
}

t.test('a schema that is registered between the checks and the transaction is compared with', async t => {
  const { author, id, applicationId } = await prepared()
  t.match(await author.get(id), { ready: true })
  const answer = await inBetween(
    `insert into schemas (application_id, environment, topic, version, schema, compatibility_mode, policy, created_at)
      values ($1, 'staging', 'order.paid', 2, '{"type":"object","properties":{"id":{"type":"number"}}}', 'backward',
        'lenient', 0)`, [applicationId], async () => await author.act(id, 'apply')
  )
  t.match(answer, {
    status: 409,
    body: { details: [{ name: 'compatibility', message: /not backward compatible with version 2 in staging/ }] }
  })
  t.match(await author.get(id), { status: 'open', appliedAt: null })
})

t.test('an active version, a description or a deletion between them is noticed', async t => {
  const where = "application_id = $1 and environment = 'staging' and name = 'order.paid'"
  for (
    const { statement, outcome } of [
      { statement: `update topics set active_schema_version = null where ${where}`, outcome: { status: 200 } },
      { statement: `update topics set owner = 'somebody' where ${where}`, outcome: { status: 200 } },
      { statement: `delete from topics where ${where}`, outcome: { status: 200 } }
    ]
  ) {
    const { author, id, applicationId, made } = await prepared()
    t.match(await inBetween(statement, [applicationId], async () => await author.act(id, 'apply')), outcome, statement)
    t.match(await made('GET', '/api/topics/order.paid', undefined, 'staging'), {
      owner: 'tests', description: 'A topic', activeSchemaVersion: 2
    }, 'it is applied to the target as it is now')
  }
  const { author, topic, schema, applicationId } = await team(app)
  await topic('order.placed')
  await schema('order.placed', objectWith('id'))
  await topic('order.placed', 'staging')
  const { body } = await author.create([{ kind: 'schema', name: 'order.placed' }])
  t.match(await inBetween(
    "delete from topics where application_id = $1 and environment = 'staging'", [applicationId],
    async () => await author.act(body.id, 'apply')
  ), { status: 409, body: { details: [{ name: 'topic', message: /not registered in staging/ }] } })
})

t.test('an approval that lapses between them does not count', async t => {
  const { author, id, applicationId, join } = await prepared()
  await client.query("update applications set approval_environments = '{staging}' where id = $1", [applicationId])
  const second = await join()
  await second.act(id, 'approve')
  t.match(await inBetween(
    "update topics set owner = 'somebody' where application_id = $1 and environment = 'staging'", [applicationId],
    async () => await author.act(id, 'apply')
  ), { status: 409, body: { details: [{ name: 'approval', message: /has changed since the approval/ }] } })
  await client.query("update applications set approval_environments = '{}' where id = $1", [applicationId])
  t.match(await inBetween(
    "update applications set approval_environments = '{staging}' where id = $1", [applicationId],
    async () => await author.act(id, 'apply')
  ), { status: 409, body: { details: [{ name: 'approval' }] } }, 'nor does the lack of a requirement')
})

t.test('of two applications at once, on any node, one wins', async t => {
  for (let round = 0; round < 5; round++) {
    const { author, id, applicationId } = await prepared()
    const elsewhere = async () => {
      const { statusCode } = await otherNode.inject({
        method: 'POST', url: `/api/deployments/${id}/apply`,
        headers: { authorization: author.token, 'x-application-id': applicationId }
      })
      return statusCode
    }
    const here = async () => (await author.act(id, 'apply')).status
    t.same((await Promise.all([here(), elsewhere(), here(), elsewhere()])).sort(), [200, 409, 409, 409])
    const versions = await app.db.selectFrom('schemas').select('version').where('application_id', '=', applicationId)
      .where('environment', '=', 'staging').where('topic', '=', 'order.paid').execute()
    t.equal(versions.length, 2)
    const rollbacks = await Promise.all([author.act(id, 'rollback'), author.act(id, 'rollback')])
    t.same(rollbacks.map(({ status }) => status).sort(), [200, 409])
  }
})

t.test('deployments, registrations and changes of topics neither block nor corrupt each other', async t => {
  const { author, topic, schema, applicationId } = await team(app)
  const names = ['a', 'b', 'c']
  for (const name of names) {
    await topic(name)
    await topic(name, 'staging')
  }
  const outcomes: number[] = []
  for (let round = 0; round < 15; round++) {
    for (const name of names) await schema(name, { ...objectWith('id'), title: `dev ${round}` })
    const order = round % 2 === 0 ? names : names.toReversed()
    const { body } = await author.create(order.map(name => ({ kind: 'schema' as const, name })))
    const answers = await Promise.all([
      author.act(body.id, 'apply'),
      ...names.map(async name => await author.request('POST', `/api/schemas/${name}`, {
        schema: { ...objectWith('id'), title: `staging ${round}` }, activate: true
      }, 'staging')),
      author.request('PATCH', '/api/topics/b', { owner: `owner ${round}` }, 'staging')
    ])
    for (const { status, text } of answers) t.ok([200, 201].includes(status), text)
    outcomes.push(...answers.map(({ status }) => status))
  }
  t.equal(outcomes.length, 75)
  const { rows } = await client.query(
    `select topic, array_agg(version order by version) as versions from schemas
    where application_id = $1 and environment = 'staging' group by topic`, [applicationId]
  )
  t.same(rows.map(({ versions }) => versions), names.map(() => Array.from({ length: 30 }, (_, i) => i + 1)))
})

t.test('an application is deleted with its deployments', async t => {
  const { id, applicationId, author } = await prepared()
  await author.act(id, 'comments', { text: 'x' })
  const admin = await (await team(app)).join('super_admin')
  t.equal((await admin.request('DELETE', `/api/applications/${applicationId}?force=true`)).status, 204)
  for (const table of ['deployment_items', 'deployment_approvals', 'deployment_comments'] as const) {
    t.same(await app.db.selectFrom(table).selectAll().where('deployment_id', '=', id).execute(), [], table)
  }
})

t.test('open deployments, closed ones and comments have limits', async t => {
  const { author, topic, applicationId, id } = await prepared()
  await topic('x')
  const copies = async (count: number, status: string, prefix: string) => await client.query(
    `insert into deployments (id, application_id, title, description, source, target, status, created_by, created_with,
      created_at, updated_at)
    select $3 || i, $1, 'x', '', 'development', 'staging', $2, 'usr_x', 'session', i, i
    from generate_series(1, $4::int) i`, [applicationId, status, `dep_${prefix}`, count]
  )
  await copies(98, 'open', 'open')
  const item = [{ kind: 'topic' as const, name: 'x' }]
  t.equal((await author.create(item)).status, 201)
  t.match((await author.create(item)).body, { code: 'DEPLOYMENT_LIMIT' })
  t.equal((await author.act(id, 'reject', { reason: 'Room' })).status, 200)
  await copies(1100, 'rejected', 'old')
  t.equal((await author.create(item)).status, 201)
  const { rows: [{ count, oldest }] } = await client.query(
    'select count(*)::int, min(created_at)::int as oldest from deployments where application_id = $1 and status = $2',
    [applicationId, 'rejected']
  )
  t.equal(count, 1000)
  t.equal(oldest, 102, 'the oldest are deleted')
  await client.query(
    `insert into deployment_comments (id, deployment_id, created_by, text, created_at)
    select 'dco_' || i, $1, 'usr_x', 'x', i from generate_series(1, 200) i`, [id]
  )
  t.match((await author.act(id, 'comments', { text: 'one more' })).body, { code: 'DEPLOYMENT_LIMIT' })
})
