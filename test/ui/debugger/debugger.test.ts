import t from 'tap'
import { noChromium } from '../../support/chromium.ts'
import { accessibilityProblems, screenshot, startConsole } from '../../support/console.ts'
import { libraryClient } from '../../support/library-clients.ts'
import { allSettled, answer, receiver } from '../../support/webhook-receiver.ts'
import { until } from '../../support/waiting.ts'
import { hook, variables } from '../../support/webhooks.ts'

const hostile = '<img src=x onerror=alert(1)>'

t.test('the debugger', { skip: noChromium, timeout: 600_000 }, async t => {
  const shop = await startConsole(t, {
    variables: { ...variables, WEBHOOK_RETRY_SCHEDULE: '10ms,1h' },
    adapt: config => Object.assign(config.webhooks, { circuitFailures: 1000, pollMs: 50 })
  })
  const { open, at, request, topic, publish, url, user, applicationId } = shop
  const tab = await open(at('/debugger'))
  const { page } = tab

  await t.test('there are no traces at first', async t => {
    await page.getByText('There are no traces yet').waitFor()
    await screenshot(tab, 'traces-empty')
    t.same(await accessibilityProblems(tab), [])
  })

  await topic('order.placed')
  const { client } = libraryClient(t, { url, token: shop.token(), applicationId, environment: 'development' })
  await client.connect()
  client.topic('order.placed').subscribe(() => {}, { filter: { total: { gte: 100 } } })
  await until(
    async () => {
      const dryRun = await request('POST', '/api/debugger/route', { topic: 'order.placed', payload: { total: 50 } })
      return dryRun.body.filtered === 1
    },
    () => 'the subscription'
  )
  const sink = await receiver(t, answer(503, {}, 'full'))
  const { id: webhookId } = await hook(shop, sink.url)
  const [event] = await publish('order.placed', { total: 50, note: hostile })
  await sink.came(2)
  const eventId = event?.id ?? ''

  await t.test('a new trace appears by itself', async t => {
    await page.getByRole('grid').getByRole('link', { name: 'order.placed' }).first().waitFor()
    await screenshot(tab, 'traces')
    t.same(await accessibilityProblems(tab), [])
  })

  await t.test('a paused list counts new traces instead of moving', async t => {
    await page.getByRole('button', { name: 'Pause' }).click()
    await publish('order.placed', { total: 1 })
    await page.getByRole('button', { name: '1 new' }).click()
    await page.getByRole('status').filter({ hasText: '2 rows' }).waitFor()
    t.pass()
  })

  await t.test('the trace is a timeline, from the receipt to the attempts of the webhook', async t => {
    await page.goto(url + at(`/debugger/traces/${eventId}`))
    const steps = page.getByRole('list', { name: 'Steps of the event' })
    await steps.getByText('Received').waitFor()
    await steps.getByText('Stored at offset 1').waitFor()
    await steps.getByText('0 subscriptions matched, 1 filtered').waitFor()
    await steps.getByText('Attempt 2').waitFor()
    await steps.getByText('Responded with 503').first().waitFor()
    await steps.getByText('Next try').waitFor()
    await steps.getByText('Received').click()
    await steps.getByText(hostile).waitFor()
    t.equal(await page.locator('img[src="x"]').count(), 0)
    await screenshot(tab, 'trace')
    t.same(await accessibilityProblems(tab), [])
  })

  await t.test('"Why not?" names the condition that a filtered event fails', async t => {
    await page.getByLabel('Subscription', { exact: true }).selectOption({ index: 1 })
    const explanation = page.getByRole('status', { name: 'Explanation' })
    await explanation.getByText('FILTER_NOT_MATCHED').waitFor()
    const failing = explanation.getByRole('listitem').filter({ has: page.getByRole('img', { name: 'does not hold' }) })
    t.match(await failing.first().innerText(), /total.*expected gte 100.*found 50/s)
    t.ok(await explanation.getByRole('img', { name: 'holds', exact: true }).count())
    await screenshot(tab, 'why-not')
    t.same(await accessibilityProblems(tab), [])
  })

  await t.test('an explanation has a permalink, by webhook', async t => {
    await page.goto(url + at(`/debugger/explain?eventId=${eventId}&webhookId=${webhookId}`))
    await page.getByText('DELIVERY_PENDING').waitFor()
    await screenshot(tab, 'explain')
    t.same(await accessibilityProblems(tab), [])
  })

  await t.test('a pasted token is decoded, explained, and never stored', async t => {
    const token = shop.token(['socket:connect'], { subject: 'o-17' })
    await page.getByLabel('Who should have got it').selectOption({ label: 'The owner of a token' })
    await page.getByLabel('Token', { exact: true }).fill(token)
    await page.getByText('Token of o-17').waitFor()
    await page.getByRole('button', { name: 'Explain', exact: true }).click()
    await page.getByRole('status', { name: 'Explanation' }).waitFor()
    const stored = await page.evaluate<string>('JSON.stringify([sessionStorage, localStorage, location.href])')
    t.notOk(stored.includes(token))
  })

  await t.test('an event that was not sampled says so, and how to sample', async t => {
    await page.goto(url + at('/debugger/traces/evt_AAAAAAAAAAAAAAAA'))
    await page.getByText('There is no trace of this event').waitFor()
    await page.getByRole('button', { name: /Sampling/ }).click()
    await page.getByLabel('Traced share of events, in %').fill('150')
    await page.getByRole('button', { name: 'Set sampling' }).click()
    await page.getByRole('alert').first().waitFor()
    await page.getByLabel('Traced share of events, in %').fill('50')
    await page.getByRole('button', { name: 'Set sampling' }).click()
    await page.getByRole('button', { name: 'Sampling 50 %' }).waitFor()
    t.match((await request('GET', '/api/debugger/sampling')).body, { sample: 0.5 })
    await request('PUT', '/api/debugger/sampling', { sample: 1 })
  })

  await t.test('a dry run predicts the recipients', async t => {
    await page.goto(url + at('/debugger/route'))
    await page.getByLabel('Topic', { exact: true }).fill('order.placed')
    await page.getByRole('button', { name: 'Predict recipients' }).click()
    const prediction = page.getByRole('status', { name: 'Prediction' })
    await prediction.getByText('1 live subscription would get it').waitFor()
    await prediction.getByText('1 of 1 webhook would get it').waitFor()
    await screenshot(tab, 'dry-run')
    t.same(await accessibilityProblems(tab), [])
  })

  await t.test('a replay is counted, started, followed and cancelled', async t => {
    await publish('order.placed', ...Array.from({ length: 60 }, (_, n) => ({ n })))
    await page.goto(url + at('/debugger/replays'))
    await page.getByText('There are no replays').waitFor()
    await page.getByRole('link', { name: 'Create replay' }).first().click()
    await page.getByLabel('Topic', { exact: true }).fill('order.placed')
    await page.getByLabel('To offset').fill('40')
    await page.getByLabel('Events per second').fill('1')
    await page.getByText('The server counts 40 events').waitFor()
    await screenshot(tab, 'new-replay')
    t.same(await accessibilityProblems(tab), [])
    await page.getByRole('button', { name: 'Replay 40 events' }).click()
    await page.getByText('of 40 events').waitFor()
    await page.getByRole('button', { name: 'Cancel replay' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Stop sending' }).click()
    await page.getByText('cancelled', { exact: true }).waitFor()
    await screenshot(tab, 'replay')
    t.same(await accessibilityProblems(tab), [])
    const { body } = await request('GET', '/api/debugger/replays')
    t.match(body, [{ state: 'cancelled', total: 40 }])
    await page.getByRole('link', { name: 'Replays' }).click()
    await page.getByRole('grid').getByText('cancelled').waitFor()
  })

  await t.test('a viewer sees no write action', async t => {
    const viewer = await user('viewer')
    const reader = await open(at('/debugger/replays'), { session: viewer.token })
    await reader.page.getByRole('grid').getByRole('link').first().waitFor()
    t.equal(await reader.page.getByRole('link', { name: 'Create replay' }).count(), 0)
    await reader.page.goto(url + at('/debugger/replays/new'))
    await reader.page.getByText('debugger:create').waitFor()
    await reader.page.goto(url + at('/debugger'))
    await reader.page.getByRole('grid').getByRole('link').first().waitFor()
    await reader.page.getByText('Sampling 100 %').waitFor()
    t.equal(await reader.page.getByRole('button', { name: /Sampling/ }).count(), 0)
  })

  await t.test('the pages are accessible in the dark theme', async t => {
    const dark = await open(at('/debugger'), { theme: 'dark' })
    await dark.page.getByRole('grid').getByRole('link').first().waitFor()
    await screenshot(dark, 'traces-dark')
    t.same(await accessibilityProblems(dark), [])
    await dark.page.goto(url + at(`/debugger/traces/${eventId}`))
    await dark.page.getByText('Attempt 2').waitFor()
    await screenshot(dark, 'trace-dark')
    t.same(await accessibilityProblems(dark), [])
    await dark.page.goto(url + at(`/debugger/explain?eventId=${eventId}&webhookId=${webhookId}`))
    await dark.page.getByText('DELIVERY_PENDING').waitFor()
    t.same(await accessibilityProblems(dark), [])
  })

  await t.test('all deliveries settle once the receiver is mended', async t => {
    sink.behave(answer(200))
    await request('POST', '/api/webhooks/redrive', {})
    const { body } = await request('GET', '/api/webhooks/deliveries?state=pending&limit=1000')
    for (const { id } of body as { id: string }[]) await request('POST', `/api/webhooks/deliveries/${id}/retry`)
    await allSettled(shop.app, shop, 62)
    t.pass()
  })
})
