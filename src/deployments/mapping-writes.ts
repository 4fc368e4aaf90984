import type { Transaction } from 'kysely'
import type { Database } from '../../db/tables.ts'
import type { MappingDefinition } from '../../schemas/database.ts'
import type { Scope } from '../../schemas/scope.ts'
import type { Publish } from '../cdc/administration/mapping-changes.ts'
import { setVersion } from '../cdc/administration/mapping-versions.ts'
import type { Origin } from '../identity/audit/origin.ts'
import { record } from '../identity/audit/record.ts'
import { checkOfPublishing, notReady } from './refusals.ts'
import { readMappingStates, type MappingState } from './target-state.ts'

/** Locks mappings in one order, and returns their states in the target. */
export async function lockMappings (
  trx: Transaction<Database>, target: Scope, ids: readonly string[]
): Promise<Map<string, MappingState>> {
  if (ids.length === 0) return new Map()
  await trx.selectFrom('mappings').select('id').where('application_id', '=', target.applicationId)
    .where('id', 'in', ids).orderBy('id').forUpdate().execute()
  return await readMappingStates(trx, target, ids)
}

export interface MappingWrite {
  deploymentId: string
  path: string
  id: string
  /** The version to run from now on; null for none. */
  version: number | null
  definition: MappingDefinition | undefined
  state: MappingState
}

/**
 * Makes the target run a version of a mapping. If it is enabled there, its table is published first: the connected
 * database is changed before the commit, so after a failure it may publish a table too many, which only costs WAL.
 */
export async function writeMapping (
  trx: Transaction<Database>, publish: Publish, target: Scope, write: MappingWrite, action: 'promoted' | 'rolled_back',
  by: Origin
): Promise<void> {
  const { deploymentId, path, id, version, definition, state } = write
  if (version === null) {
    for (const table of ['mapping_subscriptions', 'mapping_environments'] as const) {
      await trx.deleteFrom(table).where('mapping_id', '=', id).where('environment', '=', target.environment).execute()
    }
  } else {
    if (state.isEnabled && definition !== undefined) {
      await publish(definition).catch((error: unknown) => {
        const check = checkOfPublishing(error)
        throw check === undefined
          ? error
          : notReady(deploymentId, action === 'promoted' ? 'applied' : 'rolled back', [{ path, check }])
      })
    }
    await setVersion(trx, { id }, target.environment, version)
  }
  await record(trx, by, {
    action: `mapping.${action}`, resourceId: id, place: target, before: { version: state.version },
    after: { version, deploymentId }
  })
}
