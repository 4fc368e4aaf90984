import { LRUCache } from 'lru-cache'
import type { Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { PermissionSet } from '../../identity/access/permission-set.ts'
import { findApiKey } from '../../identity/auth/api-keys.ts'
import { grantsOf } from '../../identity/auth/sessions.ts'
import type { ReplayEvents } from './replay-events.ts'
import type { ReplayRow } from './replay-rows.ts'

/** A replay stops within this time after its requester has lost a permission. */
const rememberedMs = 1000
const rememberedMax = 1000

export type RequesterRights = ReturnType<typeof createRequesterRights>

/**
 * Decides whether a replay may go on: the API key or the user that requested it must still have the permissions that
 * the request required. A JWT cannot be looked up, so its replays go on.
 */
export function createRequesterRights ({ db }: { db: Kysely<Database> }) {
  const known = new LRUCache<string, boolean>({ max: rememberedMax, ttl: rememberedMs })

  /** Returns undefined if the requester cannot be looked up, and null if they have ended. */
  async function held ({ requested_by: id, application_id: applicationId }: ReplayRow) {
    if (id.startsWith('apk_')) return (await findApiKey(db, id))?.held ?? null
    if (!id.startsWith('usr_')) return undefined
    const grants = await grantsOf(db, id)
    return grants === undefined ? null : grants.byApplication.get(applicationId) ?? grants.everywhere
  }

  return {
    /** Rejects while the database is unavailable. */
    async mayContinue (row: ReplayRow, events: Pick<ReplayEvents, 'topics'>): Promise<boolean> {
      const remembered = known.get(row.id)
      if (remembered !== undefined) return remembered
      const set = await held(row)
      const may = set === undefined || (set !== null && covers(set, await events.topics()))
      known.set(row.id, may)
      return may
    }
  }
}

const covers = (set: PermissionSet, topics: readonly string[]): boolean =>
  set.allows('debugger:create') && topics.every(topic => set.publish.covers(topic))
