import { RealtimeClient } from '@realtime-platform/client'
import { RealtimeProvider, useChannel, useConnectionState, useEvents, usePresence, useTopic } from '@realtime-platform/client/react'
import { createElement } from 'react'
import { renderToString } from 'react-dom/server'
import t from 'tap'
import { build, listen } from '../support/build.ts'
import { lossyNetwork } from '../support/lossy-web-socket.ts'
import { tenant } from '../support/tenant.ts'

t.test('components render on a server without a socket', async t => {
  const { app } = await build(t)
  const url = await listen(app)
  const shop = await tenant(app)
  let sockets = 0
  const { WebSocket } = lossyNetwork()
  class CountedWebSocket extends WebSocket {
    constructor (url: string, protocols?: string | string[]) { super(url, protocols); sockets++ }
  }
  const client = new RealtimeClient({ url, token: shop.token(), autoConnect: false, WebSocket: CountedWebSocket })
  function Page () {
    useTopic('order.placed', () => t.fail('no event is handled on a server'))
    const { events, isReady } = useEvents('order.placed', { rewind: 10 })
    const { status, messages } = useChannel('chat', { state: { name: 'Ann' } })
    const present = usePresence('chat')
    return createElement('p', null, JSON.stringify([
      useConnectionState(), isReady, status, events.length, messages.length, present.length
    ]))
  }
  const html = renderToString(createElement(RealtimeProvider, { client }, createElement(Page)))
  t.equal(html, '<p>[&quot;connecting&quot;,false,&quot;left&quot;,0,0,0]</p>')
  t.equal(client.state, 'disconnected')
  t.equal(sockets, 0)
  t.same((await shop.request('GET', '/api/socket/connections')).body, { count: 0 })
})

t.test('a hook outside a provider throws an error that names it', async t => {
  t.throws(() => renderToString(createElement(() => useConnectionState())), { message: /<RealtimeProvider/ })
})
