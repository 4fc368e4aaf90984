import t from 'tap'
import { system } from '../../../src/identity/audit/origin.ts'
import { record } from '../../../src/identity/audit/record.ts'
import { createAuditRetention } from '../../../src/identity/audit/retention.ts'
import { build } from '../../support/build.ts'

t.setTimeout(600_000)

const dayMs = 24 * 3_600_000

t.test('audit entries are deleted in slices after their retention, and not before', async t => {
  const { app } = await build(t)
  await app.db.insertInto('audit_log').columns(['id', 'at', 'actor_kind', 'actor_id', 'action', 'resource']).expression(
    eb =>
      eb.selectFrom(eb.fn<{ n: number }>('generate_series', [eb.lit(1), eb.lit(2500)]).as('n'))
        .select(
          select => [
            select.val('aud_old').as('id'),
            select.cast<number>(select.val(Date.now() - 401 * dayMs), 'bigint').as('at'),
            select.val('system').as('actor_kind'), select.val('system').as('actor_id'), select.val('a.b').as('action'),
            select.val('a').as('resource')
          ]
        )
  ).execute()
  await record(app.db, system, { action: 'topic.created', resourceId: 'top_new' })
  const log = { info: () => {}, warn: () => {} }
  const retention = (retentionDays: number) => createAuditRetention({ db: app.db, retentionDays, now: Date.now, log })
  t.equal(await retention(0).sweep(), 0, '0 keeps them forever')
  t.equal(await retention(402).sweep(), 0)
  const deleted = await Promise.all([retention(400).sweep(), retention(400).sweep()])
  t.equal(deleted[0] + deleted[1], 2500, 'two nodes delete each entry once')
  const left = await app.db.selectFrom('audit_log').select(['resource_id']).where('id', '!=', '').execute()
  t.ok(left.some(({ resource_id: id }) => id === 'top_new'))
  await t.rejects(app.db.deleteFrom('audit_log').execute(), /append-only/, 'any other deletion is refused')
})
