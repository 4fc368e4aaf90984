import { RealtimeClient } from '@realtime-platform/client'
import t from 'tap'
import { build, listen } from '../../support/build.ts'
import { tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'

t.test('tokens that expire soon after each connection never end the client', async t => {
  const { app } = await build(t)
  const url = await listen(app)
  const shop = await tenant(app)
  const states: string[] = []
  const client = new RealtimeClient({
    url,
    // Each refresh fails, so that the server closes the connection.
    token () {
      if (states.at(-1) === 'connected') throw new Error('the issuer of tokens is down')
      return shop.token(['admin'], { expiresInS: 2 })
    },
    reconnectionDelay: 10,
    // On a busy machine, a token may have expired on arrival, which costs more attempts, and their waits double.
    reconnectionDelayMax: 200
  })
  t.teardown(() => client.disconnect())
  client.on('error', () => {})
  client.on('connection', ({ state }) => states.push(state))
  await until(() => states.filter(state => state === 'connected').length === 3, 'the third connection')
  t.notOk(states.includes('disconnected'))
})
