import fp from 'fastify-plugin'
import { channelRequests } from '../src/channels/channel-requests.ts'
import { Directory } from '../src/channels/directory.ts'
import { createDocumentPresence, type DocumentPresence } from '../src/channels/document-presence.ts'
import { createMessages, type Messages } from '../src/channels/messages.ts'
import { Outbox } from '../src/channels/outbox.ts'
import { Presence } from '../src/channels/presence.ts'
import { createSocketEvents, type Listeners } from '../src/channels/socket-events.ts'
import type { ConnectionsObserver } from '../src/delivery/connections.ts'
import type { SocketRequest } from '../src/delivery/protocol.ts'

declare module 'fastify' {
  interface FastifyInstance {
    channels: {
      /** Who is connected, and in which channels. */
      directory: Directory
      messages: Messages
      documents: DocumentPresence
      /** Wants to be told of every connection. */
      observer: ConnectionsObserver
      /** What a client may ask for, by name. */
      requests: Record<string, SocketRequest>
    }
  }
}

/** The ad-hoc rooms of a scope, who is in them, and what goes through them. The delivery brings the connections. */
export default fp(async (app) => {
  const { documents, eventWriter: writer, graceTimes, hub, instruments: metrics, socketListeners } = app
  const directory = new Directory()
  const outbox = new Outbox()
  // Whoever else may listen (other nodes' subscriptions) is asked here.
  const listeners: Listeners = { hasListeners: (scope, topic) => hub.hasListeners(scope, topic) || socketListeners.hasListeners(scope, topic) }
  const events = createSocketEvents({ writer, listeners, log: app.log })
  const presence = new Presence({ directory, outbox, events, graceTimes, limits: app.config.delivery, metrics })
  const messages = createMessages({ directory, outbox, events, writer, metrics })
  app.decorate('channels', {
    directory,
    messages,
    documents: createDocumentPresence({ documents, directory }),
    observer: presence,
    requests: channelRequests({ presence, messages })
  })
  app.addHook('preClose', async () => presence.close())
}, { name: 'channels', dependencies: ['config', 'domain', 'events', 'hub', 'metrics', 'tenancy', 'webhook-routing'] })
