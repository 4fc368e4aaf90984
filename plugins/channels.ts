import fp from 'fastify-plugin'
import { Absences } from '../src/channels/absences.ts'
import { createAnnouncer } from '../src/channels/announcer.ts'
import { channelRequests } from '../src/channels/channel-requests.ts'
import { Directory } from '../src/channels/directory.ts'
import { createCensus, type Census } from '../src/channels/census.ts'
import { createDocumentPresence, type DocumentPresence } from '../src/channels/channel-permissions.ts'
import { ListeningNodes } from '../src/channels/listening-nodes.ts'
import { MemberBytes } from '../src/channels/member-bytes.ts'
import { createMemberRecords, memberPrefix } from '../src/channels/member-records.ts'
import { createMessages, type Messages } from '../src/channels/messages.ts'
import { MessageQueue } from '../src/channels/message-queue.ts'
import { Presence } from '../src/channels/presence.ts'
import { RemoteMembers } from '../src/channels/remote-members.ts'
import { createRemoteSockets } from '../src/channels/remote-sockets.ts'
import { createSockets, type Sockets } from '../src/channels/sockets.ts'
import { createSocketEvents } from '../src/channels/socket-events.ts'
import type { Listeners } from '../src/delivery/listeners.ts'
import type { ConnectionsObserver } from '../src/delivery/sockets/connections.ts'
import { HeldBytes } from '../src/foundation/limits/held-bytes.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Counts the bytes that subscriptions and members hold on this node. */
    heldBytes: HeldBytes
    channels: {
      /** The connections of this node, and the channels with their members. */
      directory: Directory
      /** Channels, members and connections of all nodes. */
      census: Census
      /** Single connections of all nodes. */
      sockets: Sockets
      messages: Messages
      documents: DocumentPresence
      /** Must be called for every connection. */
      observer: ConnectionsObserver
      /** The channel requests of the socket protocol, by name. */
      requests: ReturnType<typeof channelRequests>
    }
  }
}

/** Adds the ad-hoc rooms of a scope, with presence and messages. The delivery plugin reports the connections. */
export default fp(async (app) => {
  const { cluster, documents, eventWriter: writer, gracePeriods, hub, instruments: metrics, socketListeners } = app
  const directory = new Directory()
  const held = new HeldBytes({ limits: app.config.delivery, metrics })
  app.decorate('heldBytes', held)
  const queue = new MessageQueue()
  const elsewhere = new ListeningNodes({ records: cluster.records, hub })
  hub.shareInterest(elsewhere)
  const listeners: Listeners = {
    hasListeners: (scope, topic) =>
      hub.hasListeners(scope, topic) || socketListeners.hasListeners(scope, topic) ||
      elsewhere.hasListeners(scope, topic)
  }
  const events = createSocketEvents({ writer, listeners, log: app.log })
  const shared = createMemberRecords(cluster.records)
  const remote = createRemoteSockets({ ...cluster, directory, queue })
  const absences = new Absences(gracePeriods)
  const announce = createAnnouncer({ queue, events, metrics, shared })
  const bytes = new MemberBytes(held)
  const presence = new Presence({
    directory, absences, announce, bytes, events, limits: app.config.delivery, metrics, shared
  })
  const remoteMembers = new RemoteMembers({ directory, queue, events, gracePeriods, presence, bytes })
  held.shedElsewhere = applicationId => cluster.peers.tellAll('shed', applicationId)
  cluster.peers.on('shed', (_from, applicationId) => {
    held.shed(applicationId)
    return undefined
  })
  cluster.records.observe(memberPrefix, remoteMembers)
  const census = createCensus({ directory, remote })
  const messages = createMessages({ directory, queue, events, writer, metrics, remote })
  app.decorate('channels', {
    directory,
    census,
    sockets: createSockets({ directory, peers: cluster.peers, node: app.node, db: app.db, log: app.eventLog }),
    messages,
    documents: createDocumentPresence({ documents, census }),
    observer: presence,
    requests: channelRequests({ presence, messages })
  })
  app.addHook('preClose', async () => {
    absences.close()
    remoteMembers.close()
  })
}, {
  name: 'channels',
  dependencies: [
    'cluster', 'config', 'database', 'domain', 'events', 'hub', 'metrics', 'node', 'tenancy', 'webhook-routing'
  ]
})
