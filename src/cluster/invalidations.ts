import type { Peers } from './peers.ts'

/** What other nodes would find out by looking into the database from time to time. */
export type NoticeKind = 'keys' | 'session' | 'grants' | 'application' | 'grace' | 'webhooks' | 'sources' | 'attempt'

export interface Notices {
  /**
   * Tells the other nodes what has changed here: `id` names it where there are several. To be called after the commit.
   */
  tell (kind: NoticeKind, id?: string): void
  /** Takes what other nodes tell. What the listener throws, or rejects with, is logged. */
  on (kind: NoticeKind, listener: (id: string) => unknown): void
}

/** Changes that other nodes are to follow at once. A notice that is lost costs the time until their next look. */
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
