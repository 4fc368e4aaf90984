import t from 'tap'
import { build } from '../support/build.ts'
import { sourced } from '../support/source-database.ts'

/* A promoted standby may lack changes that were read from the failed server. */

t.setTimeout(600_000)

t.test('a server whose WAL ends before the position is a loss, and is read again once the gap is accepted', async t => {
  const { app } = await build(t)
  const shop = await sourced(t, app)
  await shop.connect()
  const { slot } = await shop.connection()
  for (const column of ['confirmed_lsn', 'commit_lsn']) {
    await app.pool.query(
      `update cdc_positions p set ${column} = 'FFFF/0' from cdc_connections c
      where c.id = p.connection_id and c.application_id = $1`,
      [shop.applicationId]
    )
    await shop.sql('select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1', [slot])
    t.match((await shop.state('error', 'SOURCE_REPLACED')).error, { message: /WAL ends/ }, column)
    await shop.connect({ acceptGap: true })
  }
})
