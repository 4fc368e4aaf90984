import type { Transaction } from 'kysely'
import type { Database } from '../../db/tables.ts'
import type { DeploymentItemWanted } from '../../schemas/deployments.ts'
import type { Scope } from '../../schemas/scope.ts'
import { getVersion, takeSnapshot, versionNotFound, versionsIn } from '../cdc/administration/mapping-versions.ts'
import { readMapping } from '../cdc/mappings/mapping-rows.ts'
import { jsonEqual } from '../documents/json-equal.ts'
import { NotFoundError } from '../errors.ts'
import { invalid } from '../foundation/json.ts'
import { authorize } from '../identity/access/permissions.ts'
import type { Principal } from '../identity/access/principal.ts'
import type { Origin } from '../identity/audit/origin.ts'
import { record } from '../identity/audit/record.ts'
import { refuseReserved, topicNotFound } from '../registry/topics/topics.ts'

/** Limits the schemas of a deployment together. Their diffs and comparisons are in memory at once. */
const schemaBytesMax = 4 * 1024 * 1024

/** An item with its content, which is applied whatever happens in the source afterwards. */
export interface FrozenItem {
  kind: DeploymentItemWanted['kind']
  name: string
  version: number | null
  /** The text of a topic's content. The content of a version never changes, so it is not copied. */
  content: string | null
}

interface Freezing { trx: Transaction<Database>, principal: Principal, from: Scope, to: Scope, by: Origin }

/** Returns the topic or mapping that each item names. Throws ValidationError if one is incomplete or named twice. */
export function namesOfItems (items: readonly DeploymentItemWanted[]): string[] {
  const seen = new Map<string, number>()
  return items.map(({ kind, name, id, version }, i) => {
    const [wanted, unwanted] = kind === 'mapping' ? ['id', 'name'] as const : ['name', 'id'] as const
    const named = kind === 'mapping' ? id : name
    if (named === undefined) throw invalid(`/items/${i}/${wanted}`, `is required for the kind ${kind}`)
    if ((kind === 'mapping' ? name : id) !== undefined) {
      throw invalid(`/items/${i}/${unwanted}`, `must be absent for the kind ${kind}, which has ${wanted}`)
    }
    if (kind === 'topic' && version !== undefined) {
      throw invalid(`/items/${i}/version`, 'must be absent for the kind topic: topics have no versions')
    }
    const first = seen.get(`${kind} ${named}`)
    if (first !== undefined) throw invalid(`/items/${i}`, `must not repeat /items/${first}`)
    seen.set(`${kind} ${named}`, i)
    return named
  })
}

/**
 * Fixes the content of each item: the topic as it is now, or a version. Throws NotFoundError for what the source does
 * not have.
 */
export async function freeze (freezing: Freezing, wanted: readonly DeploymentItemWanted[]): Promise<FrozenItem[]> {
  const names = namesOfItems(wanted)
  const frozen: FrozenItem[] = []
  let schemaBytes = 0
  for (const [i, { kind, version }] of wanted.entries()) {
    const name = names[i] ?? ''
    if (kind === 'topic') frozen.push(await freezeTopic(freezing, name))
    else if (kind === 'mapping') frozen.push(await freezeMapping(freezing, name, version, `/items/${i}/id`))
    else {
      const { bytes, ...item } = await freezeSchema(freezing, name, version)
      schemaBytes += bytes
      if (schemaBytes > schemaBytesMax) {
        throw invalid('/items', `must have at most ${schemaBytesMax} bytes of schemas. Make several deployments`)
      }
      frozen.push(item)
    }
  }
  return frozen
}

async function freezeTopic ({ trx, from }: Freezing, name: string): Promise<FrozenItem> {
  refuseReserved(name)
  const row = await trx.selectFrom('topics').select(['description', 'owner'])
    .where('application_id', '=', from.applicationId).where('environment', '=', from.environment)
    .where('name', '=', name).executeTakeFirst()
  if (row === undefined) throw topicNotFound(name)
  return { kind: 'topic', name, version: null, content: JSON.stringify(row) }
}

async function freezeSchema (
  { trx, from }: Freezing, topic: string, wanted: number | undefined
): Promise<FrozenItem & { bytes: number }> {
  let query = trx.selectFrom('schemas as s').leftJoin('topics as t', join =>
    join.onRef('t.application_id', '=', 's.application_id').onRef('t.environment', '=', 's.environment')
      .onRef('t.name', '=', 's.topic'))
    .select(['s.version', eb => eb.fn<number>('octet_length', [eb.cast('s.schema', 'text')]).as('bytes')])
    .where('s.application_id', '=', from.applicationId).where('s.environment', '=', from.environment)
    .where('s.topic', '=', topic)
  if (wanted !== undefined) query = query.where('s.version', '=', wanted)
  const row = await query
    .orderBy(eb => eb.fn.coalesce(eb('s.version', '=', eb.ref('t.active_schema_version')), eb.val(false)), 'desc')
    .orderBy('s.version', 'desc').limit(1).executeTakeFirst()
  if (row !== undefined) return { kind: 'schema', name: topic, version: row.version, content: null, bytes: row.bytes }
  if (wanted === undefined) {
    throw new NotFoundError('SCHEMA_NOT_FOUND', `The topic has no schema in ${from.environment}: ${topic}`)
  }
  throw new NotFoundError(
    'SCHEMA_VERSION_NOT_FOUND',
    `Schema version not found: ${topic} has no version ${wanted} in ${from.environment}`
  )
}

async function freezeMapping (
  { trx, principal, from, to, by }: Freezing, id: string, wanted: number | undefined, path: string
): Promise<FrozenItem> {
  const row = await readMapping(trx, from, id)
  if (row.home === to.environment) {
    throw invalid(path, `must not be ${id}: ${to.environment} is its home and runs its working copy`)
  }
  const isHome = row.home === from.environment
  if (wanted !== undefined) {
    await getVersion(trx, row, wanted)
    // A version that has not run in the source would skip an environment.
    if (!isHome && !(await versionsIn(trx, row, from.environment)).includes(wanted)) {
      throw versionNotFound(row, wanted, from.environment)
    }
    return { kind: 'mapping', name: id, version: wanted, content: null }
  }
  const latest = isHome ? row.homeVersion : row.version
  if (latest !== null && jsonEqual(await getVersion(trx, row, latest), row.definition)) {
    return { kind: 'mapping', name: id, version: latest, content: null }
  }
  authorize(principal, from, 'mappings:create')
  const version = await takeSnapshot(trx, row, from.environment)
  await record(trx, by, { action: 'mapping.versioned', resourceId: id, place: from, after: { version } })
  return { kind: 'mapping', name: id, version, content: null }
}
