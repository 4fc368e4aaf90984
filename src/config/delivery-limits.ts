import type { PaceLimits } from '../foundation/limits/pace.ts'

/** Limits of one socket. Some have variables; tests may tighten all of them. */
export interface DeliveryLimits extends PaceLimits {
  /** Buffered bytes of one socket above which its subscriptions are dropped. */
  socketBufferBytesMax: number
  /** How long a socket above that limit may take to drain before it is closed. */
  drainTimeoutMs: number
  subscriptionsPerConnectionMax: number
  /** Subscriptions of all sockets of an application on this node; 0 is no limit. */
  subscriptionsPerApplicationMax: number
  /** Open sockets of an application on this node; 0 is no limit. */
  connectionsPerApplicationMax: number
  /** Topics that one pattern, and all patterns of a connection, may match. */
  patternTopicsMax: number
  patternTopicsPerConnectionMax: number
  channelsPerConnectionMax: number
  authTimeoutMs: number
  /**
   * Bytes of stored events per second that a connection is sent when it resumes, and at once. The rest waits. 0 per
   * second is no limit.
   */
  pastBytesPerSecond: number
  pastBytesBurst: number
  /** Limit of one frame in bytes. Documents arrive over REST. */
  frameBytesMax: number
  /** The same limit before authentication, and how many Socket.IO packets a client may send until then. */
  unauthenticatedFrameBytesMax: number
  unauthenticatedPacketsMax: number
  /** Packets that one long-polling request may hold. */
  packetsPerPostMax: number
  /**
   * Interval of pings. A peer that does not reply is cut off, over Socket.IO after `pongTimeoutMs`, over `/ws` after
   * one interval.
   */
  pingIntervalMs: number
  pongTimeoutMs: number
  /** How long a peer may take to acknowledge a close before it is cut off. */
  closeTimeoutMs: number
  /** Buffered bytes of all sockets of a node. Above it, the sockets with the most are cut off. */
  bufferedBytesMax: number
  /** Bytes of partly received messages of all sockets of a node. Above it, the sockets with the most are cut off. */
  arrivingBytesMax: number
  /**
   * Bytes of subscriptions and member states that all applications together, and one application, may hold on a node.
   */
  heldBytesMax: number
  heldBytesPerApplicationMax: number
}

export const defaultDeliveryLimits: DeliveryLimits = {
  socketBufferBytesMax: 4 * 1024 * 1024,
  drainTimeoutMs: 10_000,
  subscriptionsPerConnectionMax: 1000,
  subscriptionsPerApplicationMax: 250_000,
  connectionsPerApplicationMax: 0,
  patternTopicsMax: 1000,
  patternTopicsPerConnectionMax: 5000,
  channelsPerConnectionMax: 100,
  authTimeoutMs: 5000,
  requestsPerSecond: 100,
  requestsBurst: 200,
  bytesPerSecond: 1024 * 1024,
  bytesBurst: 4 * 1024 * 1024,
  pastBytesPerSecond: 8 * 1024 * 1024,
  pastBytesBurst: 64 * 1024 * 1024,
  overLimitMs: 5000,
  frameBytesMax: 1024 * 1024,
  unauthenticatedFrameBytesMax: 16 * 1024,
  unauthenticatedPacketsMax: 32,
  packetsPerPostMax: 1000,
  pingIntervalMs: 25_000,
  pongTimeoutMs: 20_000,
  closeTimeoutMs: 5000,
  bufferedBytesMax: 512 * 1024 * 1024,
  arrivingBytesMax: 128 * 1024 * 1024,
  heldBytesMax: 512 * 1024 * 1024,
  heldBytesPerApplicationMax: 256 * 1024 * 1024
}
