import t from 'tap'
import { noChromium } from '../../support/chromium.ts'
import { accessibilityProblems, screenshot, startConsole } from '../../support/console.ts'
import { createSource, eventsOf, uniqueName } from '../../support/source-database.ts'

/* The section Database, with a real PostgreSQL whose changes are streamed. */

const markup = '<img src=x onerror="document.title=1">'

t.test('the section Database', { skip: noChromium, timeout: 600_000 }, async t => {
  const { open, at, request, user } = await startConsole(t)
  const source = await createSource(t)
  await source.sql(`
    create table orders (id int primary key, status text, total numeric, is_gift boolean, placed_at timestamptz)`)
  await source.sql('alter table orders replica identity full')
  await source.sql('insert into orders values (17, $1, 42, true, now())', [markup])
  await source.sql('create table lines (note text)')
  const { password } = new URL(source.url)

  await t.test('the wizard shows a failed precondition with its SQL, then connects', async t => {
    const weak = uniqueName()
    await source.sql(`create role ${weak} login password 'weak'`)
    const tab = await open(at('/database'))
    const { page } = tab
    const given = Object.assign(new URL(source.url), { username: weak, password: 'weak' })
    await page.getByLabel('Connection string').fill(String(given))
    await page.getByLabel('Connection string').blur()
    t.equal(await page.getByLabel('User').inputValue(), weak, 'a pasted string fills in the fields')
    t.equal(await page.getByLabel('Connection string').inputValue(), '')
    await page.waitForResponse(response => response.url().endsWith('/api/database/connection'))
    await page.waitForResponse(response => response.url().endsWith('/api/database/connection'))
    t.equal(await page.getByLabel('User').inputValue(), weak, 'what was typed stays while the state is read again')
    await page.getByRole('button', { name: 'Test connection' }).click()
    const failed = page.getByRole('list', { name: 'Preconditions' }).locator('[data-status=failed]')
    await failed.first().waitFor()
    t.match(await failed.first().textContent(), /Failed: .*ALTER ROLE .* REPLICATION/)
    t.same(await accessibilityProblems(tab), [])
    await screenshot(tab, 'database-wizard-failed')
    await source.sql(`drop role ${weak}`)

    await page.getByLabel('Connection string').fill(source.url)
    await page.getByLabel('Connection string').blur()
    await page.getByRole('button', { name: 'Test connection' }).click()
    await page.getByText('Ready to connect').waitFor()
    await page.getByRole('button', { name: 'Connect database' }).click()
    await page.getByText('streaming', { exact: true }).waitFor({ timeout: 600_000 })
    t.notMatch(await page.content(), `:${password}@`, 'the password is not shown')
    t.same(await accessibilityProblems(tab), [])
    await screenshot(tab, 'database-connected')
  })

  await t.test('tables are listed with their columns, and with the SQL that gives old values', async t => {
    const tab = await open(at('/database/tables?open=lines'))
    await tab.page.getByRole('complementary').getByText('ALTER TABLE "public"."lines" REPLICA IDENTITY FULL;').waitFor()
    t.same(await accessibilityProblems(tab), [])
    await screenshot(tab, 'database-tables')
  })

  let id = ''
  await t.test('a mapping is built on a row of the table, enabled, and makes an event of a change', async t => {
    const tab = await open(at('/database/mappings/new?table=orders'))
    const { page } = tab
    await page.getByLabel('Value of status').waitFor()
    t.equal(await page.getByLabel('Value of status').inputValue(), markup, 'a value of a row is text')
    await page.getByLabel('Topic', { exact: true }).fill('order.changed')
    await page.getByRole('button', { name: 'Add id to the payload' }).click()
    await page.getByRole('button', { name: 'Add total to the payload' }).click()
    await page.getByText('One event.').waitFor()

    await page.getByRole('button', { name: 'Add condition' }).click()
    const row = page.getByRole('group', { name: 'Condition 1' })
    await row.getByLabel('Column').selectOption('total')
    await row.getByLabel('Operator').selectOption('gte')
    await row.getByLabel('Value').fill('100')
    await page.getByText('No event.').waitFor()
    await page.getByText('The condition does not hold').waitFor()
    t.match(await page.getByRole('list', { name: 'Values of the row' }).textContent(), /total ≥ 100 — the row has 42/)
    await screenshot(tab, 'database-builder-no-event')
    await page.getByLabel('Value of total').fill('142')
    await page.getByText('One event.').waitFor()

    await page.getByRole('button', { name: 'Create topic' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Create topic' }).click()
    await page.getByRole('list', { name: 'Warnings' }).waitFor({ state: 'detached' })
    t.same(await accessibilityProblems(tab), [])
    await screenshot(tab, 'database-builder')
    await page.getByRole('button', { name: 'Create mapping' }).click()
    await page.getByRole('heading', { name: 'orders → order.changed' }).waitFor()
    id = new URL(page.url()).pathname.split('/').at(-1) ?? ''
    t.equal((await request('GET', '/api/database/mappings')).body.length, 1, 'the dialog sent its own form only')
    t.match((await request('GET', `/api/database/mappings/${id}`)).body, {
      payload: { id: '$row.id', total: '$row.total' }, when: { gte: { total: 100 } }
    })
    await page.getByRole('button', { name: 'Enable in development' }).click()
    await page.getByRole('button', { name: 'Disable in development' }).waitFor({ timeout: 600_000 })
    await source.sql('update orders set total = 150')
    t.match(await eventsOf({ request }, 'order.changed', 1), [{ key: '17', payload: { id: 17, total: 150 } }])
  })

  await t.test('the delivery log leads to the event', async t => {
    const tab = await open(at('/database/log'))
    const { page } = tab
    await page.getByRole('row').filter({ hasText: 'order.changed' }).click()
    const link = page.getByRole('complementary').getByRole('link', { name: 'Offset 1' })
    await link.waitFor()
    t.match(await link.getAttribute('href'), /topics\/order\.changed\?event=1/)
    t.same(await accessibilityProblems(tab), [])
    await screenshot(tab, 'database-log')
  })

  await t.test('a mapping is promoted with its differences, and rolled back', async t => {
    const tab = await open(at(`/database/mappings/${id}`))
    const { page } = tab
    await page.getByRole('button', { name: 'Promote to staging' }).click()
    await page.getByRole('dialog').getByText('The topic order.changed is not registered in staging').waitFor()
    await screenshot(tab, 'database-promotion')
    await page.getByRole('button', { name: 'Promote version 1 to staging' }).click()
    await page.getByRole('region', { name: 'staging' }).getByText('Version 1').waitFor()

    await page.getByRole('checkbox', { name: 'insert' }).uncheck()
    await page.getByRole('button', { name: 'Save mapping' }).click()
    await page.getByText('edited since version 1').waitFor()
    await page.getByRole('button', { name: 'Promote to staging' }).click()
    await page.getByRole('button', { name: 'Save as a version first' }).click()
    await page.getByRole('button', { name: 'Promote version 2 to staging' }).click()
    await page.getByRole('region', { name: 'staging' }).getByText('Version 2').waitFor()

    await page.goto(new URL(at(`/database/mappings/${id}/versions`, 'staging'), page.url()).href)
    await page.getByRole('button', { name: 'Roll back to it' }).click()
    await page.getByRole('dialog').getByLabel('Differences').waitFor()
    await page.getByRole('button', { name: 'Roll back to version 1' }).click()
    await page.getByText('staging runs version 1 again').waitFor()
    const { body } = await request('GET', '/api/database/mappings/status')
    t.match(body, [{ environments: { development: { version: 2, active: true }, staging: { version: 1 } } }])
    await page.goto(new URL(at('/database/mappings'), page.url()).href)
    await page.getByText('differs').waitFor()
    t.same(await accessibilityProblems(tab), [])
    await screenshot(tab, 'database-mappings')
  })

  await t.test('somebody else\'s change is shown beside one\'s own', async t => {
    const { page } = await open(at(`/database/mappings/${id}`))
    await page.getByRole('checkbox', { name: 'delete' }).check()
    await request('PATCH', `/api/database/mappings/${id}`, { events: ['update', 'insert'] })
    await page.getByRole('button', { name: 'Save mapping' }).click()
    await page.getByText('Somebody else has changed the mapping').waitFor()
    await page.getByRole('button', { name: 'Take theirs' }).click()
    t.equal(await page.getByRole('checkbox', { name: 'insert' }).isChecked(), true)
    t.equal(await page.getByRole('checkbox', { name: 'delete' }).isChecked(), false)
  })

  await t.test('a viewer sees everything but rows, and changes nothing', async t => {
    const { token } = await user('viewer')
    const { page } = await open(at('/database'), { session: token })
    await page.getByText('streaming', { exact: true }).waitFor()
    t.equal(await page.getByRole('button', { name: /Disconnect|Change/ }).count(), 0)
    await page.goto(new URL(at(`/database/mappings/${id}`), page.url()).href)
    await page.getByText('Your roles do not allow you to see rows').waitFor()
    t.equal(await page.getByRole('button', { name: /Save|Enable|Disable|Promote/ }).count(), 0)
    await page.goto(new URL(at('/database/mappings/new'), page.url()).href)
    await page.getByText('mappings:create').waitFor()
  })

  await t.test('the dark theme is accessible, and an editor may build', async t => {
    const { token } = await user('editor')
    const tab = await open(at(`/database/mappings/${id}`), { session: token, theme: 'dark' })
    await tab.page.getByText(/One event|No event/).waitFor()
    t.same(await accessibilityProblems(tab), [])
    await screenshot(tab, 'database-builder-dark')
    for (const path of ['/database', '/database/mappings', '/database/log']) {
      await tab.page.goto(new URL(at(path), tab.page.url()).href)
      await tab.page.getByText(/streaming|order.changed/).filter({ visible: true }).first().waitFor()
      t.same(await accessibilityProblems(tab), [], path)
    }
  })

  await t.test('the database is disconnected after a question', async () => {
    const { page } = await open(at('/database'))
    await page.getByRole('button', { name: 'Disconnect' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Disconnect database' }).click()
    await page.getByText('Connect a PostgreSQL database').waitFor()
    await page.goto(new URL(at('/database/tables'), page.url()).href)
    await page.getByText('No database is connected here').waitFor()
  })
})
