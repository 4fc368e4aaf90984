import type { Scope } from '../../schemas/scope.ts'

/**
 * Reports whether a topic of socket events has listeners: subscriptions of this node, subscriptions of other nodes, or
 * webhooks. An event without listeners is not written to the log.
 */
export interface Listeners { hasListeners (scope: Scope, topic: string): boolean }
