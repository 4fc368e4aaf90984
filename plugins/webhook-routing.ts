import fp from 'fastify-plugin'
import { WebhookRouting } from '../src/webhooks/routing.ts'
import { SocketListeners } from '../src/webhooks/socket-listeners.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The writer's stage that finds the webhooks that an event is delivered to. */
    webhookRouting: WebhookRouting
    /** Which webhooks listen to socket events. */
    socketListeners: SocketListeners
  }
}

/**
 * Adds the routing, with which the writer finds the webhooks that receive an event, and the list of webhooks that
 * listen to socket events. The plugin `webhooks` sends the deliveries.
 */
export default fp(async (app) => {
  const listeners = new SocketListeners({ pool: app.pool })
  app.decorate('webhookRouting', new WebhookRouting())
  app.decorate('socketListeners', listeners)

  let polling: Promise<void> | undefined
  let isFailing = false
  const poll = () => {
    polling ??= listeners.poll().then(() => { isFailing = false }, (err: unknown) => {
      if (!isFailing) app.log.warn({ err }, 'webhooks.listeners_poll_failed')
      isFailing = true
    }).finally(() => { polling = undefined })
    return polling
  }
  let timer: NodeJS.Timeout | undefined
  app.addHook('onReady', async () => {
    await poll()
    timer = setInterval(() => { void poll() }, app.config.webhooks.pollMs).unref()
  })
  app.addHook('onClose', async () => {
    clearInterval(timer)
    await polling
  })
}, { name: 'webhook-routing', dependencies: ['config', 'database'] })
