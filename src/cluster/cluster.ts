import type { Bus } from './bus.ts'
import type { Peers } from './peers.ts'
import type { SharedRecords } from './shared-records.ts'

/**
 * The communication of this node with the others. It has three implementations: `Peers` and `SharedRecords` over the
 * bus of Redis, the same over the bus between workers, and `localCluster` for a single process. A caller need not
 * distinguish them: without other nodes, a message is not received, a question has no answers and no record changes.
 */
export interface Cluster {
  bus: Pick<Bus, 'publish' | 'listen' | 'onRestored' | 'health'>
  peers: Pick<Peers, 'nodes' | 'count' | 'has' | 'on' | 'tellAll' | 'ask'>
  records: Pick<SharedRecords, 'incomplete' | 'observe' | 'set' | 'delete' | 'spread'>
}
