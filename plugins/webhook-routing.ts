import fp from 'fastify-plugin'
import { WebhookRouting } from '../src/webhooks/routing.ts'
import { SocketListeners } from '../src/webhooks/socket-listeners.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The writer's stage that finds the webhooks an event is owed to. */
    webhookRouting: WebhookRouting
    /** Which webhooks listen to what happens on sockets. */
    socketListeners: SocketListeners
  }
}

/** Who of the webhooks listens to what. It sends nothing: that is the business of `webhooks`. */
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
