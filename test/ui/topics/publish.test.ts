import t from 'tap'
import { noChromium } from '../../support/chromium.ts'
import { accessibilityProblems, fillEditor, screenshot, startConsole } from '../../support/console.ts'

const schema = {
  type: 'object',
  required: ['id', 'total', 'items'],
  additionalProperties: false,
  properties: {
    id: { type: 'string', minLength: 3 },
    total: { type: 'number', minimum: 0 },
    currency: { enum: ['EUR', 'CHF'] },
    express: { type: 'boolean' },
    items: {
      type: 'array',
      minItems: 1,
      items: { type: 'object', required: ['sku'], properties: { sku: { type: 'string', minLength: 1 } } }
    },
    delivery: {
      oneOf: [
        { title: 'Pick-up', type: 'object', required: ['shop'], properties: { shop: { type: 'string' } } },
        { title: 'Parcel', type: 'object', required: ['street'], properties: { street: { type: 'string' } } }
      ]
    },
    extra: {}
  }
}

t.test('publishing, the schema and the settings of a topic', { skip: noChromium, timeout: 600_000 }, async t => {
  const { open, at, request, topic } = await startConsole(t)
  await topic('order.placed')
  await topic('order.free')
  await request('POST', '/api/schemas/order.placed', { schema, compatibilityMode: 'none' })
  await request('PATCH', '/api/topics/order.placed', { activeSchemaVersion: 1 })
  const tab = await open(at('/topics/order.placed/publish'))
  const { page } = tab

  await t.test('the server\'s refusal appears at the fields of the form', async t => {
    await page.getByLabel('id', { exact: true }).fill('o1')
    await page.getByLabel('total').fill('-1')
    await page.getByRole('button', { name: 'Publish event' }).click()
    await page.getByText('must be >= 0').waitFor()
    t.equal(await page.getByLabel('total').getAttribute('aria-invalid'), 'true')
    t.equal(await page.getByLabel('id', { exact: true }).getAttribute('aria-invalid'), 'true')
    await page.getByRole('group', { name: 'items' }).getByRole('alert').waitFor()
    await screenshot(tab, 'publish-refused')
    t.same(await accessibilityProblems(tab), [])
  })

  await t.test('the form makes the payload, and the stored event is shown with its offset', async t => {
    await page.getByLabel('id', { exact: true }).fill('o-17')
    await page.getByLabel('total').fill('42.5')
    await page.getByLabel('currency').selectOption('CHF')
    await page.getByLabel('express').selectOption('true')
    await page.getByRole('button', { name: 'Add to items' }).click()
    await page.getByLabel('sku').fill('lamp')
    await page.getByRole('button', { name: 'Add delivery' }).click()
    await page.getByLabel('Kind of delivery').selectOption({ label: 'Parcel' })
    await page.getByLabel('street').fill('Main Street')
    await page.getByLabel('Key', { exact: false }).first().fill('customer-1')
    await page.keyboard.press('Control+Enter')
    await page.getByRole('link', { name: '1', exact: true }).waitFor()
    const { body } = await request('GET', '/api/topics/order.placed/events')
    t.match(body, [{
      key: 'customer-1',
      payload: {
        id: 'o-17', total: 42.5, currency: 'CHF', express: true, items: [{ sku: 'lamp' }],
        delivery: { street: 'Main Street' }
      }
    }])
    await page.getByRole('link', { name: '1', exact: true }).click()
    await page.getByRole('heading', { name: 'Event 1' }).waitFor()
  })

  await t.test('a sample fills the form, and an array publishes several events', async t => {
    await page.getByRole('link', { name: 'Publish' }).first().click()
    await page.getByRole('button', { name: 'Fill with a sample' }).click()
    await page.getByLabel('sku').first().waitFor()
    await page.getByRole('button', { name: 'Several events' }).click()
    await page.getByRole('button', { name: 'Fill with a sample' }).click()
    await page.locator('.cm-content').getByText('"sku"').waitFor()
    await page.getByRole('button', { name: 'Publish events' }).click()
    await page.getByRole('link', { name: '2', exact: true }).waitFor()
    t.equal((await request('GET', '/api/topics/order.placed/events')).body.length, 2)
  })

  await t.test('a topic without a schema takes JSON, and mistakes in it are named', async t => {
    await page.goto(page.url().replace('order.placed', 'order.free'))
    await page.getByText('New event, not checked').waitFor()
    await fillEditor(page.locator('.cm-content'), '{"total": 1')
    await page.getByText('This is not JSON').waitFor()
    t.pass()
  })

  await t.test('the active schema is shown with a sample', async t => {
    await page.goto(page.url().replace('order.free/publish', 'order.placed/schema'))
    await page.getByRole('heading', { name: 'Version 1' }).waitFor()
    await page.getByRole('group', { name: 'Sample' }).waitFor()
    await screenshot(tab, 'topic-schema')
    t.same(await accessibilityProblems(tab), [])
    await page.goto(page.url().replace('order.placed', 'order.free'))
    await page.getByText('Payloads of this topic are not checked').waitFor()
  })

  await t.test('subscribers are the live subscriptions and the webhooks', async t => {
    await page.goto(page.url().replace('order.free/schema', 'order.placed/subscribers'))
    await page.getByText('Nobody is subscribed').waitFor()
    const { page: reader } = await open(at('/topics/order.placed'))
    await reader.getByText('2 rows').waitFor()
    await page.getByText('yes').first().waitFor()
    await screenshot(tab, 'topic-subscribers')
    t.same(await accessibilityProblems(tab), [])
  })

  await t.test('settings are saved, refusals appear at their field, and the topic is deleted', async t => {
    await page.goto(page.url().replace('subscribers', 'settings'))
    await page.getByLabel('Description').fill('Orders of the shop')
    await page.getByLabel('Events are kept').selectOption('hours')
    await page.getByLabel('Hours').fill('0')
    await page.getByRole('button', { name: 'Save settings' }).click()
    await page.getByRole('alert').first().waitFor()
    await page.getByLabel('Hours').fill('48')
    await page.getByRole('button', { name: 'Save settings' }).click()
    await page.getByText('Settings saved').waitFor()
    t.match((await request('GET', '/api/topics/order.placed')).body, {
      description: 'Orders of the shop', retentionHours: 48
    })
    await screenshot(tab, 'topic-settings')
    t.same(await accessibilityProblems(tab), [])
    await page.getByRole('button', { name: 'Delete topic' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Delete topic' }).click()
    await page.getByRole('heading', { name: 'Topics' }).waitFor()
    t.equal((await request('GET', '/api/topics/order.placed')).status, 404)
  })
})
