import t, { type Test } from 'tap'
import { examinedMax } from '../../../src/foundation/lists/read-page.ts'
import { lockDocuments } from '../../../src/events/statements.ts'
import { build } from '../../support/build.ts'
import { partsOf, plansOf, type Plan } from '../../support/list-plans.ts'
import { person } from '../../support/people.ts'
import { tenant } from '../../support/tenant.ts'

/*
 * Proves that a page of a large list has a limited cost, whatever its order, filters and `q`: PostgreSQL explains the
 * statements that the routes send, for 1,000,000 documents and 100,000 rows of every other large table.
 */

/* Inserting a million rows takes 20 s on an idle machine. */
t.setTimeout(900_000)

const { app } = await build(t)
const shop = await tenant(app)
const admin = await person(app, 'super_admin')
const other = await tenant(app)
const { applicationId } = shop
const large = 100_000
const documents = 1_000_000
const since = Date.now() - 3_600_000

/** The statements of the test may take longer than those of the platform. */
const patient = (text: string, values: unknown[] = []) => ({ text, values, query_timeout: 600_000 })

/** Inserts rows without statistics: PostgreSQL has to plan well before it has any. */
async function fill (): Promise<void> {
  const client = await app.pool.connect()
  const insert = (text: string, values: unknown[] = []) => client.query(patient(text, values))
  try {
    await client.query('set statement_timeout = 0')
    await insert("insert into services (application_id, name, created_at, updated_at) values ($1, 'cart', 0, 0)", [
      applicationId
    ])
    await insert(
      `insert into documents
        select $1, 'development', 'cart', 'doc_' || substr(md5(n::text), 1, 16), 1, '{"total":1}', n % 100 = 0, null,
          $2::bigint + n, $2::bigint + (n::bigint * 7919) % ${documents}
        from generate_series(1, ${documents}) n`,
      [applicationId, since]
    )
    for (const [owner, count] of [[applicationId, large], [other.applicationId, 1000]]) {
      const values = [owner, since]
      await insert(
        `insert into webhook_deliveries (application_id, environment, webhook_id, event_id, event_type, topic, log_id,
          "offset", event_at, state, next_at, created_at)
        select $1, 'development', 'wh_' || n % 20, 'evt_' || n, 'topic.event', 'topic.' || n % 50, 1, n, 0,
          case when n % 1000 = 0 then 'dead' else 'delivered' end, 0, $2::bigint + n
          from generate_series(1, ${count}) n`,
        values
      )
      await insert(
        `insert into webhook_attempts (application_id, environment, webhook_id, delivery_id, event_type, url, attempt,
          success, attempted_at)
        select $1, 'development', 'wh_' || n % 20, gen_random_uuid(), 'topic.event', 'https://example.com/' || n % 20,
          1, n % 1000 <> 0, $2::bigint + n from generate_series(1, ${count}) n`,
        values
      )
      await insert(
        `insert into audit_log (id, at, actor_kind, actor_id, actor_name, action, resource, resource_id, application_id)
        select 'aud_' || n, $2::bigint + n, 'user', 'usr_' || n % 10, 'Ada', 'topic.updated', 'topic',
          'topic.' || n % 500, $1 from generate_series(1, ${count}) n`,
        values
      )
      await insert(
        `insert into database_logs (id, application_id, environment, mapping_id, subscription_id, status, topic,
          table_name, events, lsn, xid, committed_at, created_at)
        select 'log_' || n, $1, 'development', 'map_' || n % 20, 'sub_1', 'delivered', 'topic.' || n % 50, 'carts', 1,
          '0/1', n, 0, $2::bigint + n from generate_series(1, ${count}) n`,
        values
      )
    }
    await insert(
      `insert into users (id, email, email_canonical, name, password_hash, created_at, updated_at)
        select 'usr_' || n, 'u' || n || '@example.com', 'u' || n || '@example.com', 'User ' || md5(n::text), '',
          $1::bigint + n, 0 from generate_series(1, ${large}) n`,
      [since]
    )
  } finally {
    client.release(true)
  }
}

const from = since + 40_000
const lists: Record<string, { sorts: string[], filters: string[] }> = {
  '/api/sync/cart/documents': {
    sorts: ['id', 'createdAt'],
    filters: [
      '', 'includeDeleted=true', `updatedAfter=${since + documents - 1000}`, 'q=doc', 'q=Ab1', 'q=none',
      `q=none&updatedAfter=${since}&includeDeleted=true`
    ]
  },
  '/api/webhooks/deliveries': {
    sorts: ['createdAt'],
    filters: [
      '', 'webhookId=wh_7', 'webhookId=wh_none', 'event=topic.event', 'event=document.created', 'state=dead',
      'state=pending', 'state=delivered', 'topic=topic.7', 'topic=none', 'eventId=evt_77', `from=${from}`,
      `to=${from}`, `from=${from}&to=${from + 10}`, 'q=topic.4', 'q=none', 'state=dead&webhookId=wh_0&q=none'
    ]
  },
  '/api/webhooks/logs': {
    sorts: ['deliveredAt'],
    filters: [
      '', 'webhookId=wh_7', 'webhookId=wh_none', 'success=false', 'event=document.created', `to=${from}`,
      'deliveryId=dlv_00000000000000000000000000000000', 'q=none'
    ]
  },
  '/api/admin/audit': {
    sorts: ['at'],
    filters: [
      '', `applicationId=${applicationId}`, 'actor=usr_1', 'actor=none', 'action=none', 'resource=topic',
      'resource=topic&resourceId=topic.7', 'resourceId=none', `to=${from}&applicationId=${applicationId}`,
      `from=${from}`, 'q=none'
    ]
  },
  '/api/database/logs': {
    sorts: ['createdAt'],
    filters: ['', 'mappingId=map_7', 'mappingId=none', 'subscriptionId=none', 'status=failed', `to=${from}`, 'q=none']
  },
  '/api/users': {
    sorts: ['createdAt', 'name', 'email'],
    filters: ['', 'email=u7@example.com', `applicationId=${applicationId}`, 'roleId=role_viewer', 'q=none', 'q=user']
  }
}
const tables = /^(documents|webhook_deliveries|webhook_attempts|audit_log|database_logs|users)$/

const rowsOf = (part: Plan): number =>
  ((part['Actual Rows'] ?? 0) + (part['Rows Removed by Filter'] ?? 0)) * (part['Actual Loops'] ?? 1)

/** Incremental sorts read ahead, and the rows of the small application are in the same indexes. */
const rowsMax = examinedMax + 2000

/** Returns what is wrong with a plan. */
function problemsOf (plan: Plan): string[] {
  return partsOf(plan).flatMap(part => {
    const [type, table] = [part['Node Type'], part['Relation Name'] ?? '']
    if (type === 'Seq Scan' && tables.test(table)) return [`a sequential scan of ${table}`]
    if (tables.test(table) && rowsOf(part) > rowsMax) return [`${rowsOf(part)} rows of ${table} are read`]
    return type === 'Sort' && rowsOf(part) > 1000 ? [`${rowsOf(part)} rows are sorted`] : []
  })
}

async function check (t: Test, checked: typeof lists): Promise<void> {
  for (const [path, { sorts, filters }] of Object.entries(checked)) {
    for (const filter of filters) {
      for (const sort of sorts) {
        for (const order of ['asc', 'desc']) {
          const url = `${path}?sort=${sort}&order=${order}&${filter}`
          let next = ''
          for (const page of filter === '' ? ['first', 'second'] : ['first']) {
            let cursor: unknown
            const [plan, ...others] = await plansOf(app.pool, async () => {
              const { status, headers, text } = await admin.get(url + next, {
                headers: { 'x-application-id': applicationId }
              })
              if (status !== 200) throw new Error(`${url}: ${text}`)
              cursor = headers['x-next-cursor']
            })
            t.equal(others.length, 0)
            t.same(plan === undefined ? 'no statement' : problemsOf(plan), [], `${url}, ${page} page`)
            if (typeof cursor !== 'string') break
            next = `&cursor=${cursor}`
          }
        }
      }
    }
  }
}

t.test('without statistics, the writer finds documents by their key, and lists use their index', async t => {
  await fill()
  const { text } = lockDocuments([])
  const { rows } = await app.pool.query<{ 'QUERY PLAN': string }>(`explain (generic_plan) ${text}`)
  const plan = rows.map(row => row['QUERY PLAN']).join('\n')
  t.match(plan, 'documents_pkey')
  t.notMatch(plan, 'documents_created')
  await check(t, { '/api/sync/cart/documents': { sorts: ['id', 'createdAt'], filters: ['', 'q=doc'] } })
})

t.test('with statistics, no list reads more than its limit', async t => {
  await app.pool.query(
    patient('analyze documents, webhook_deliveries, webhook_attempts, audit_log, database_logs, users')
  )
  await check(t, lists)
})
