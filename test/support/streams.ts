import { RealtimeClient, type Gap, type RealtimeClientOptions, type RealtimeEvent } from '@realtime-platform/client'
import type { FastifyInstance } from 'fastify'
import { startCuttingProxy } from './cutting-proxy.ts'
import type { Teardown } from './teardown.ts'
import { tenant } from './tenant.ts'
import { until } from './waiting.ts'

/** An application with a client of the library behind a proxy that can cut its connections. */
export async function openStreams (
  t: Teardown, app: FastifyInstance, url: string, options: Partial<RealtimeClientOptions> = {}
) {
  const shop = await tenant(app)
  const proxy = await startCuttingProxy(t, url)
  const errors: string[] = []

  function open (more: Partial<RealtimeClientOptions> = {}): RealtimeClient {
    const client = new RealtimeClient({
      url: proxy.url, token: () => shop.token(), reconnectionDelay: 20, lingerMs: 20, ...options, ...more
    })
    client.on('error', error => errors.push(error.code))
    t.teardown(() => client.disconnect())
    return client
  }

  return {
    ...shop,
    proxy,
    /** The codes of errors that clients have emitted. */
    errors,
    open,
    client: open(),
    /** The ids of the subscriptions that the server has for the application. */
    subscriptions: () => [...app.connections.all()]
      .filter(({ scope }) => scope.applicationId === shop.applicationId)
      .flatMap(({ subscriptions }) => subscriptions.map(({ id }) => id)),
    /** Cuts all connections, does something meanwhile, and waits until the client has connected again. */
    async cut (client: RealtimeClient, meanwhile?: () => unknown): Promise<void> {
      proxy.isRefusing = true
      proxy.cut()
      await until(() => client.state !== 'connected', 'the cut')
      await meanwhile?.()
      proxy.isRefusing = false
      await client.connect()
    },
    /** Removes the events of a topic up to an offset, as retention does. */
    async expire (topic: string, offset: number): Promise<void> {
      await app.pool.query(
        'delete from events where application_id = $1 and topic = $2 and "offset" <= $3',
        [shop.applicationId, topic, offset]
      )
    }
  }
}

/** Collects what a subscription delivers, in its order: payloads, and gaps as `RETENTION_PASSED 3-5`. */
export function recorder () {
  const seen: unknown[] = []
  return {
    seen,
    handler: (event: RealtimeEvent) => { seen.push(event.payload) },
    onGap: ({ reason, from, to }: Gap) => { seen.push(`${reason} ${from}-${to}`) },
    has: (count: number) => until(() => seen.length >= count, () => `${count} of ${JSON.stringify(seen)}`)
  }
}

export const upTo = (last: number, first = 1): number[] =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i)
