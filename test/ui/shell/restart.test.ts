import t from 'tap'
import { networkErrors, noChromium, startChromium } from '../../support/chromium.ts'
import { createDatabase } from '../../support/database.ts'
import { call, made } from '../../support/rest.ts'
import { dataFolder, start } from '../../support/server-process.ts'
import { setUp } from '../../support/shop.ts'
import { steadyPort } from '../../support/steady-port.ts'

t.test('an open page survives a restart of the server', { skip: noChromium, timeout: 600_000 }, async t => {
  const variables = { DATABASE_URL: await createDatabase(t), PORT: String(await steadyPort()) }
  const dataDir = await dataFolder(t)
  const server = await start(t, { dataDir, variables })
  const { sessionToken, applicationId, token } = await setUp(server.address)
  const openTab = await startChromium(t)
  const { page } = await openTab(`${server.address}/a/${applicationId}/development/topics`, {
    // A server that has just started may answer 503.
    expected: new RegExp(`${networkErrors.source}|status of 503`),
    prepare: context => context.addInitScript(`sessionStorage.setItem('realtime.session', '${sessionToken}')`)
  })
  await page.getByText('There are no topics yet').waitFor()
  await page.getByRole('status').getByText('live').waitFor()
  await page.evaluate('document.body.dataset.page = "same"')

  server.kill('SIGKILL')
  await server.exit
  await page.getByRole('status').getByText(/reconnecting/).waitFor()
  const next = await start(t, { dataDir, variables })
  await made(call('POST', `${next.address}/api/topics`, {
    token, body: { name: 'order.placed', description: 'A test', owner: 'tests' }
  }))
  await page.getByRole('status').getByText('live').waitFor()
  t.equal(await page.evaluate('document.body.dataset.page'), 'same', 'the page was not loaded again')
})
