import { Webhook as Verifier } from 'standardwebhooks'
import t from 'tap'
import { createDatabase } from '../../support/database.ts'
import { DatabaseProxy } from '../../support/database-proxy.ts'
import { tenant, type Tenant } from '../../support/tenant.ts'
import { allSettled, receiver, type ReceivedWebhook } from '../../support/webhook-receiver.ts'
import { deliveriesOf, hook, node } from '../../support/webhooks.ts'

/* A webhook is changed while the dispatcher waits for a query about its old settings. */

t.setTimeout(180_000)

const direct = new URL(await createDatabase(t))
const proxy = new DatabaseProxy(direct)
t.teardown(() => proxy.close())
const proxied = new URL(direct)
proxied.hostname = '127.0.0.1'
proxied.port = String(await proxy.open())
const { app } = await node(t, proxied.href)

const scan = 'webhooks_busy'

/**
 * Publishes an event, so that a scan of the dispatcher finds its delivery and reads the settings of the webhook.
 * Resolves with a function that passes the result of the scan on.
 */
async function publishBeforeScan (shop: Tenant): Promise<() => void> {
  const passEarlier = await proxy.holdResponse(scan)
  await shop.publish('a.one', 1)
  // A list of deliveries expands the outbox first.
  t.equal((await deliveriesOf(shop, '&state=pending')).length, 1)
  const passing = proxy.holdResponse(scan)
  passEarlier()
  return await passing
}

for (const kind of ['known', 'new'] as const) {
  await t.test(`a scan from before a change of the URL does not send to the old one (${kind} to the node)`, async t => {
    const shop = await tenant(app)
    await shop.topic('a.one')
    const [old, current] = [await receiver(t), await receiver(t)]
    const { id } = await hook(shop, old.url)
    const sent = kind === 'known' ? 1 : 0
    if (kind === 'known') await shop.publish('a.one', 0)
    await allSettled(app, shop, sent)
    const pass = await publishBeforeScan(shop)
    t.equal((await shop.request('PATCH', `/api/webhooks/${id}`, { url: current.url })).status, 200)
    pass()
    await allSettled(app, shop, sent + 1)
    t.equal(current.received.length, 1)
    t.equal(old.received.length, sent, 'the old URL receives nothing after the change')
  })
}

await t.test('a scan from before a rotation does not sign with the old secret alone', async t => {
  const shop = await tenant(app)
  await shop.topic('a.one')
  const sink = await receiver(t)
  const { id } = await hook(shop, sink.url)
  await shop.publish('a.one', 0)
  await allSettled(app, shop, 1)
  const pass = await publishBeforeScan(shop)
  const { body: { secret } } = await shop.request('POST', `/api/webhooks/${id}/rotate-secret`, {})
  pass()
  await allSettled(app, shop, 2)
  const { text, headers } = sink.received[1] as ReceivedWebhook
  t.ok(new Verifier(secret).verify(text, headers), 'the new secret signs the first delivery after the rotation')
})

await t.test('a scan from before a deactivation sends nothing; after activation the delivery is sent', async t => {
  const shop = await tenant(app)
  await shop.topic('a.one')
  const sink = await receiver(t)
  const { id } = await hook(shop, sink.url)
  const pass = await publishBeforeScan(shop)
  t.equal((await shop.request('POST', `/api/webhooks/${id}/deactivate`)).status, 200)
  const passing = proxy.holdResponse(scan)
  pass()
  // The cycle of the first scan is over.
  const passNext = await passing
  t.equal(sink.received.length, 0)
  passNext()
  t.equal((await shop.request('POST', `/api/webhooks/${id}/activate`)).status, 200)
  await allSettled(app, shop, 1)
  t.equal(sink.received.length, 1)
})

for (const change of ['url', 'deactivation', 'deletion'] as const) {
  await t.test(`${change} while the permission is checked holds for that delivery`, async t => {
    const shop = await tenant(app)
    await shop.topic('a.one')
    const [old, current] = [await receiver(t), await receiver(t)]
    const { id } = await hook(shop, old.url)
    const { reader } = await app.db.selectFrom('webhooks').select('reader').where('application_id', '=',
      shop.applicationId).executeTakeFirstOrThrow()
    if (reader === null || !('keyId' in reader)) throw new Error('the reader is a token')
    const checking = proxy.holdResponse(reader.keyId)
    await shop.publish('a.one', 1)
    const pass = await checking
    const answer = await {
      url: async () => await shop.request('PATCH', `/api/webhooks/${id}`, { url: current.url }),
      deactivation: async () => await shop.request('POST', `/api/webhooks/${id}/deactivate`),
      deletion: async () => await shop.request('DELETE', `/api/webhooks/${id}`)
    }[change]()
    t.ok(answer.status < 300)
    pass()
    if (change === 'deactivation') await shop.request('POST', `/api/webhooks/${id}/activate`)
    await allSettled(app, shop, change === 'deletion' ? 0 : 1)
    t.equal(current.received.length, change === 'url' ? 1 : 0)
    t.equal(old.received.length, change === 'deactivation' ? 1 : 0)
  })
}
