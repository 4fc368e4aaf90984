import { Webhook as Verifier } from 'standardwebhooks'
import t from 'tap'
import { build } from '../build.ts'
import { tenant } from '../tenant.ts'
import { receiver } from './receiver.ts'

const { app } = await build(t, { variables: { WEBHOOK_ALLOW_PRIVATE: 'true', WEBHOOK_RETRY_SCHEDULE: '20ms,20ms,20ms,20ms,20ms', WEBHOOK_TIMEOUT_MS: '2000' } })
const shop = await tenant(app)

await t.test('an event that is published is posted, signed', async t => {
  const topic = await shop.topic('order.placed')
  const sink = await receiver(t)
  const { status, body: webhook } = await shop.request('POST', '/api/webhooks', { url: sink.url, events: ['topic.event'] })
  t.equal(status, 201)
  const [event] = await shop.publish(topic, { n: 1 })
  const [received] = await sink.came(1)
  t.strictSame(new Verifier(webhook.secret).verify(received?.text ?? '', received?.headers ?? {}), received?.body)
  t.strictSame(received?.body.data, event)
})
