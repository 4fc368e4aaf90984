import pg from 'pg'
import type { Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import { refusePlatformDatabase } from '../platform-database.ts'
import { SourceError, type SourceClient } from '../source.ts'
import { parseLsn } from './lsn.ts'
import { createPublicationSql, createSlot, dropSlot, freeSlot, readFacts, readPublicationOid, readSlot, readSystemIdentifier } from './slot-care.ts'
import type { LeaseKey, StreamState, StreamStates } from './stream-state.ts'

/** A connection as its reader has it. */
export interface ConnectionSettings {
  connectionString: string
  publication: string
  slot: string
  /** Somebody has said that what was lost is lost. */
  gapAccepted: boolean
  /** Which version of the connection this is. */
  revision: number
}

export interface OpenOptions {
  client: SourceClient
  settings: ConnectionSettings
  lease: LeaseKey
  states: StreamStates
  db: Kysely<Database>
  /** Sees to it that what mappings want is in the publication. */
  careForTables: (isNew: boolean) => Promise<void>
  signal: AbortSignal
  onWaiting (problem: SourceError): void
  log: { info (fields: object, message: string): void, warn (fields: object, message: string): void, error (fields: object, message: string): void }
}

/**
 * Sees to publication and slot, and answers where the stream is. A slot that ought to be there and is not, or that has moved
 * on without us, is never made anew in silence: that takes somebody who accepts the gap. Throws SourceError.
 */
export async function openStream (options: OpenOptions): Promise<StreamState> {
  const { client, settings, lease, states, db, log } = options
  const { walLevel, version } = await readFacts(client)
  await refusePlatformDatabase(db, client)
  if (walLevel !== 'logical') throw new SourceError('WAL_LEVEL', `(it is ${walLevel})`)
  const systemIdentifier = await readSystemIdentifier(client)
  const known = await states.read(lease)
  const isNew = known.systemIdentifier === null || settings.gapAccepted
  if (!isNew && known.systemIdentifier !== systemIdentifier) throw new SourceError('SOURCE_REPLACED')

  // Before the slot: what it decodes has to find the publication in the catalogue as it was then.
  let publicationOid = await readPublicationOid(client, settings.publication)
  if (!isNew && publicationOid !== known.publicationOid) throw new SourceError('PUBLICATION_LOST')
  if (publicationOid === undefined) {
    await make(options, 'publication', () => client.query(createPublicationSql(settings.publication, version)))
    publicationOid = await readPublicationOid(client, settings.publication) as number
    log.info({ publication: settings.publication }, 'cdc.publication_created')
  }
  await options.careForTables(isNew)

  const slot = await readSlot(client, settings.slot)
  if (!isNew) {
    if (slot === undefined || slot.walStatus === 'lost' || slot.confirmedLsn === null) throw new SourceError('SLOT_LOST')
    if (parseLsn(slot.confirmedLsn) > parseLsn(known.confirmedLsn)) throw new SourceError('SLOT_MOVED')
    await freeSlot(client, settings.slot)
    await states.takeBack(lease, settings.revision)
    return known
  }
  return await beginAnew(options, { systemIdentifier, publicationOid })
}

async function beginAnew (options: OpenOptions, { systemIdentifier, publicationOid }: { systemIdentifier: string, publicationOid: number }): Promise<StreamState> {
  const { client, settings, lease, states, db, log } = options
  const other = await db.selectFrom('cdc_positions').select('connection_id')
    .where('system_identifier', '=', systemIdentifier).where('slot', '=', settings.slot).where('connection_id', '<>', lease.connectionId).executeTakeFirst()
  if (other !== undefined) throw new SourceError('SLOT_TAKEN')
  let slot = await readSlot(client, settings.slot)
  const { rows: [own] } = await client.query<{ name: string }>('select current_database()::text as name')
  if (slot !== undefined && (slot.plugin !== 'pgoutput' || slot.database !== own?.name)) {
    // It may be what we ourselves have left in another database of that server: then it is dropped, and the next attempt has the name.
    if (settings.gapAccepted) await states.giveUp(lease)
    throw new SourceError('SLOT_BUSY', `(it belongs to ${slot.database ?? 'physical replication'} with ${slot.plugin ?? 'no plugin'})`)
  }
  // One that is not even begun is what a server of ours that was killed still has made; or somebody else's doing.
  const isHalfMade = slot !== undefined && slot.confirmedLsn === null
  if (isHalfMade && !await states.ownsSlot(lease)) throw new SourceError('SLOT_BUSY', '(it is being made)')
  if (slot !== undefined && (settings.gapAccepted || isHalfMade)) {
    await dropSlot(client, settings.slot)
    slot = undefined
  }
  const confirmedLsn = slot?.confirmedLsn ?? await make(options, 'slot', () => createSlot(client, settings.slot, options))
  const state = await states.begin(lease, settings.revision, { systemIdentifier, slot: settings.slot, publicationOid, confirmedLsn }).catch(async (error: Error & { code?: string }) => {
    if (error.code !== '23505') throw error
    throw new SourceError('SLOT_TAKEN')
  })
  if (settings.gapAccepted) log.warn({ connectionId: lease.connectionId, slot: settings.slot, lsn: confirmedLsn }, 'cdc.gap_accepted')
  else log.info({ connectionId: lease.connectionId, slot: settings.slot, lsn: confirmedLsn, isAdopted: slot !== undefined }, 'cdc.slot_ready')
  return state
}

/** What is made here goes with the connection. When the server refuses, whoever makes it instead keeps it. */
async function make<T> ({ states, lease, settings }: OpenOptions, part: 'slot' | 'publication', work: () => Promise<T>): Promise<T> {
  await states.own(lease, settings.revision, part, true)
  try {
    return await work()
  } catch (error) {
    if (error instanceof pg.DatabaseError) await states.own(lease, settings.revision, part, false)
    throw error
  }
}
