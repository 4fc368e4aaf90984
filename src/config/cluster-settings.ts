/** How nodes track each other. None of these has a variable; tests may set them. */
export interface ClusterSettings {
  /** Interval of a node's heartbeats. */
  heartbeatMs: number
  /** Time without a heartbeat after which the other nodes treat a node as failed and drop its state. */
  leaseMs: number
  /** Time limit of a request to other nodes. */
  answerMs: number
  /** Time over which a stopping node moves its sockets to other nodes; at most a third of the shutdown timeout. */
  moveMs: number
}

export const defaultClusterSettings: ClusterSettings = {
  heartbeatMs: 1000, leaseMs: 5000, answerMs: 1000, moveMs: 3000
}
