import type { Cluster } from './cluster.ts'

const doNothing = () => {}

/** The cluster of a single process. It sends nothing, keeps nothing and calls no listener. */
export const localCluster: Cluster = {
  bus: {
    publish: doNothing,
    listen: () => ({ live: Promise.resolve(), end: doNothing }),
    onRestored: doNothing,
    health: () => ({ isConnected: true, heartbeatAgeMs: 0 })
  },
  peers: {
    nodes: [],
    count: 0,
    has: () => false,
    on: doNothing,
    tellAll: doNothing,
    ask: async () => ({ answers: new Map(), missing: 0 })
  },
  records: {
    incomplete: [],
    observe: doNothing,
    set: doNothing,
    delete: doNothing,
    spread: async () => {}
  }
}
