import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { randomBytes } from 'node:crypto'
import { RealtimeClient } from '../../client.ts'
import type { Profile } from '../settings.ts'
import { fail, ok, reasonOf, skip, timeoutMs, warn, type Outcome } from './check.ts'
import { latency } from './server.ts'

const upgradeAdvice = 'Let the proxy pass upgrades. nginx: proxy_http_version 1.1; proxy_set_header Upgrade ' +
  '$http_upgrade; proxy_set_header Connection "upgrade";'

/** Returns 101, or the status of a server or proxy that does not upgrade. */
function upgrade (target: string, headers: Record<string, string> = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const send = target.startsWith('https:') ? requestHttps : requestHttp
    const request = send(target, {
      headers: {
        connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13',
        'sec-websocket-key': randomBytes(16).toString('base64'), ...headers
      }
    })
    request.setTimeout(timeoutMs, () => request.destroy(new Error('no response')))
    request.on('upgrade', (_response, socket) => { socket.destroy(); resolve(101) })
    request.on('response', response => { response.destroy(); resolve(response.statusCode ?? 0) })
    request.on('error', reject)
    request.end()
  })
}

export async function checkUpgrade (url: string): Promise<Outcome> {
  const status = await upgrade(`${url}/ws`, { 'sec-websocket-protocol': 'realtime.v1' })
  return status === 101
    ? ok('/ws upgrades to WebSocket')
    : fail(`/ws answers with ${status} instead of an upgrade to WebSocket`, upgradeAdvice)
}

/** Connects as a client does, with the credential. */
export async function checkConnection (profile: Profile): Promise<Outcome> {
  const client = new RealtimeClient({ ...profile, autoConnect: false, reconnection: false })
  client.on('error', () => {})
  const started = Date.now()
  try {
    await client.connect({ signal: AbortSignal.timeout(timeoutMs) })
    return ok(`the server accepted the credential over /ws after ${Date.now() - started} ms`)
  } catch (error) {
    return fail(`the server did not accept the connection: ${reasonOf(error)}`,
      'Correct the checks above first; otherwise use a credential that may connect')
  } finally {
    client.disconnect()
  }
}

/** Socket.IO begins with long polling, which works without upgrades. */
export async function checkSocketIo (url: string): Promise<Outcome> {
  const response = await fetch(`${url}/socket.io/?EIO=4&transport=polling`, { signal: AbortSignal.timeout(timeoutMs) })
  const isPolling = response.ok && (await response.text()).startsWith('0{')
  const status = await upgrade(`${url}/socket.io/?EIO=4&transport=websocket`)
  if (isPolling && status === 101) return ok('long polling and WebSocket work')
  if (isPolling) {
    return warn(`only long polling works: WebSocket got ${status}`,
      `${upgradeAdvice} Until then, use the transport socketIo() of @realtime-platform/client/socket.io`)
  }
  return status === 101
    ? warn(`long polling got ${response.status}; WebSocket works`, 'Let the proxy pass GET and POST of /socket.io/')
    : fail(`neither long polling (${response.status}) nor WebSocket (${status}) works`,
      'Let the proxy pass all requests of /socket.io/ to the platform')
}

/** Publishes an event and waits until it arrives. */
export async function checkRoundTrip (profile: Profile, topic: string | undefined): Promise<Outcome> {
  if (topic === undefined) return skip('name a topic with --topic to publish an event of a test to it')
  const client = new RealtimeClient({ ...profile, autoConnect: false, reconnection: false })
  client.on('error', () => {})
  const signal = AbortSignal.timeout(timeoutMs)
  try {
    await client.connect({ signal })
    const arrived = new Map<number, () => void>()
    const subscription = client.topic(topic).subscribe(({ payload }) => {
      arrived.get((payload as { doctor?: number } | null)?.doctor ?? -1)?.()
    }, { signal, onError: () => {} })
    await subscription.ready
    const timesMs: number[] = []
    for (let i = 0; i < 5; i++) {
      const id = Math.random()
      const arrival = new Promise<void>((resolve, reject) => {
        arrived.set(id, resolve)
        signal.addEventListener('abort', () => reject(new Error('no event within 10 s')), { once: true })
      })
      const started = Date.now()
      await Promise.all([arrival, client.topic(topic).publish({ doctor: id }, { signal })])
      timesMs.push(Date.now() - started)
    }
    return latency('an event', timesMs)
  } catch (error) {
    return fail(`an event of a test did not arrive on ${topic}: ${reasonOf(error)}`,
      'Use a credential that may publish to the topic and subscribe to it, and a topic without a schema')
  } finally {
    client.disconnect()
  }
}
