import type { Peers } from './peers.ts'

/** Changes that other nodes would otherwise find by their periodic queries. */
export type NoticeKind = 'keys' | 'session' | 'grants' | 'application' | 'grace' | 'webhooks' | 'sources' | 'attempt'

export interface Notices {
  /**
   * Notifies the other nodes of a change. `id` names the changed thing where there are several. Call it after the
   * commit.
   */
  tell (kind: NoticeKind, id?: string): void
  /** Handles notices of other nodes. Logs an error that the listener throws or rejects with. */
  on (kind: NoticeKind, listener: (id: string) => unknown): void
}

/**
 * Creates the notices with which other nodes apply a change at once. A lost notice delays it until their next query.
 */
export function createNotices (
  peers: Peers | undefined, log: { warn(fields: object, message: string): void }
): Notices {
  const listeners = new Map<string, ((id: string) => unknown)[]>()
  peers?.on('notice', (_from, body) => {
    const [kind = '', id = ''] = body.split('\n')
    for (const listener of listeners.get(kind) ?? []) {
      new Promise(resolve => resolve(listener(id))).catch((err: unknown) =>
        log.warn({ err, kind }, 'cluster.notice_failed')
      )
    }
    return undefined
  })
  return {
    tell: (kind, id = '') => peers?.tellAll('notice', `${kind}\n${id}`),
    on (kind, listener) {
      listeners.set(kind, [...listeners.get(kind) ?? [], listener])
    }
  }
}
