import type { Cluster } from './cluster.ts'

/** Changes that other nodes would otherwise find by their periodic queries. */
export type InvalidationKind =
  'keys' | 'session' | 'api-key' | 'grants' | 'application' | 'grace' | 'webhooks' | 'sources' | 'attempt' |
  'quotas'

export interface Invalidations {
  /**
   * Notifies the other nodes of a change. `id` names the changed thing where there are several. Call it after the
   * commit.
   */
  announce (kind: InvalidationKind, id?: string): void
  /** Handles invalidations of other nodes. Logs an error that the listener throws or rejects with. */
  on (kind: InvalidationKind, listener: (id: string) => unknown): void
}

/**
 * Creates the invalidations with which other nodes apply a change at once. A lost one delays it until their next
 * query.
 */
export function createInvalidations (
  peers: Cluster['peers'], log: { warn(fields: object, message: string): void }
): Invalidations {
  const listeners = new Map<string, ((id: string) => unknown)[]>()
  peers.on('invalidation', (_from, body) => {
    const [kind = '', id = ''] = body.split('\n')
    for (const listener of listeners.get(kind) ?? []) {
      new Promise(resolve => resolve(listener(id))).catch((err: unknown) =>
        log.warn({ err, kind }, 'cluster.invalidation_failed')
      )
    }
    return undefined
  })
  return {
    announce: (kind, id = '') => peers.tellAll('invalidation', `${kind}\n${id}`),
    on (kind, listener) {
      listeners.set(kind, [...listeners.get(kind) ?? [], listener])
    }
  }
}
