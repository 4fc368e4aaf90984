import type { Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import { refusePlatformDatabase } from './platform-database.ts'
import { SourceError, type SourceClient } from './source.ts'
import { parseLsn, type LeaseKey, type StreamState, type StreamStates } from './stream-state.ts'
import { carriesMark } from './slot-ownership.ts'
import {
  createPublication,
  createSlot,
  dropSlot,
  foreignSlot,
  freeSlot,
  isOwnPublication,
  isOwnSlot,
  readFacts,
  readPublication,
  readSlot,
  readSystemIdentifier,
  type SlotRecord
} from './slot.ts'

const copied =
  "(the platform's database is a copy, and the slot and publication belong to the original: give `slot` and `publication` other names, with `acceptGap`)"

/** A connection as its reader has it. */
export interface ConnectionSettings {
  connectionString: string
  publication: string
  slot: string
  /** In the names and comments of what the connection creates. */
  mark: string
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
  /** Ends the application names of sessions that hold the slot. */
  session: string
  /** Sees to it that what mappings want is in the publication. */
  careForTables: (isNew: boolean) => Promise<void>
  signal: AbortSignal
  onWaiting (problem: SourceError): void
  log: {
    info (fields: object, message: string): void
    warn (fields: object, message: string): void
    error (fields: object, message: string): void
  }
}

/**
 * Sees to publication and slot, and answers where the stream is. A slot that ought to be there and is not, or that has
 * moved on without us, is never made anew in silence: that takes somebody who accepts the gap. Throws SourceError.
 */
export async function openStream (options: OpenOptions): Promise<StreamState> {
  const { client, settings, lease, states, db, log } = options
  const { walLevel, version } = await readFacts(client)
  await refusePlatformDatabase(db, client)
  if (walLevel !== 'logical') throw new SourceError('WAL_LEVEL', `(it is ${walLevel})`)
  const systemIdentifier = await readSystemIdentifier(client)
  const known = await states.read(lease)
  const isNew = known.systemIdentifier === null || settings.gapAccepted
  if (!isNew && known.slot === null) throw new SourceError('SLOT_FOREIGN', copied)
  if (!isNew && known.systemIdentifier !== systemIdentifier) throw new SourceError('SOURCE_REPLACED')

  // Before the slot: what it decodes has to find the publication in the catalogue as it was then.
  let publication = await readPublication(client, settings.publication)
  if (!isNew && publication?.oid !== known.publicationOid) throw new SourceError('PUBLICATION_LOST')
  if (publication === undefined) {
    await states.own(lease, settings.revision, 'publication', true)
    await createPublication(client, settings.publication, version, settings.mark)
    publication = await readPublication(client, settings.publication)
    if (publication === undefined) throw new SourceError('PUBLICATION_LOST')
    log.info({ publication: settings.publication }, 'cdc.publication_created')
  } else if (isNew) {
    await states.own(
      lease, settings.revision, 'publication', isOwnPublication(settings.publication, publication, settings.mark)
    )
  }
  await options.careForTables(isNew)
  if (isNew) return await beginAnew(options, { systemIdentifier, publicationOid: publication.oid })
  await findAgain(options, known)
  return known
}

/** The slot that the position belongs to, and no other: throws SourceError when it is not there as it was left. */
async function findAgain (
  { client, settings, states, lease, session }: OpenOptions, known: StreamState
): Promise<void> {
  const slot = await readSlot(client, settings.slot)
  if (slot !== undefined && known.slot !== settings.slot) throw foreignSlot(slot)
  if (slot?.isHere !== true || slot.walStatus === 'lost' || slot.confirmedLsn === null) { throw new SourceError('SLOT_LOST') }
  if (parseLsn(slot.confirmedLsn) > parseLsn(known.confirmedLsn)) throw new SourceError('SLOT_MOVED')
  await requireHistory(client, known)
  await freeSlot(client, { name: settings.slot, session })
  await states.takeBack(lease, settings.revision)
}

/**
 * A server whose WAL ends before what was read of it has lost that: a standby was promoted that had not received it.
 * What it commits until it gets there would be passed over. Throws SourceError.
 */
async function requireHistory (client: SourceClient, { confirmedLsn, place }: StreamState): Promise<void> {
  const { rows: [row] } = await client.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn')
  const end = parseLsn(row?.lsn ?? '0/0')
  if (end < parseLsn(confirmedLsn) || end < parseLsn(place.commitLsn)) { throw new SourceError('SOURCE_REPLACED', '(its WAL ends before what was read of it)') }
}

interface Beginning { systemIdentifier: string, publicationOid: number }

async function beginAnew (options: OpenOptions, { systemIdentifier, publicationOid }: Beginning): Promise<StreamState> {
  const { settings, session, lease, states, db, log } = options
  const other = await db.selectFrom('cdc_positions').select('connection_id')
    .where('system_identifier', '=', systemIdentifier).where('slot', '=', settings.slot).where(
      'connection_id', '<>', lease.connectionId
    ).executeTakeFirst()
  if (other !== undefined) throw new SourceError('SLOT_TAKEN')
  const name = settings.slot
  const record = { name, session, isMarked: carriesMark(name, settings.mark), lsn: await states.slotLsn(lease) }
  const confirmedLsn = await leftByUs(options, record) ?? await create(options)
  const state = await states.begin(lease, settings.revision, {
    systemIdentifier, slot: name, publicationOid, confirmedLsn
  }).catch(async (error: Error & { code?: string }) => {
    if (error.code !== '23505') throw error
    throw new SourceError('SLOT_TAKEN')
  })
  if (settings.gapAccepted) { log.warn({ connectionId: lease.connectionId, slot: name, lsn: confirmedLsn }, 'cdc.gap_accepted') } else log.info({ connectionId: lease.connectionId, slot: name, lsn: confirmedLsn }, 'cdc.slot_ready')
  return state
}

/**
 * Where a slot begins that a reader of ours has created and then died. Undefined when there is none, or none any more:
 * with a gap that is accepted it is dropped. Throws SourceError for a slot that we did not create, and leaves it alone.
 */
async function leftByUs (options: OpenOptions, record: SlotRecord, hasFreed = false): Promise<string | undefined> {
  const { client, settings, lease, states } = options
  const slot = await readSlot(client, record.name)
  if (slot === undefined) return undefined
  if (!hasFreed && slot.confirmedLsn === null && slot.activeName?.endsWith(` ${record.session}`) === true) {
    // It is still being created, by a session of ours that nobody waits for, and goes with that session.
    await freeSlot(client, record)
    return await leftByUs(options, record, true)
  }
  if (!isOwnSlot(slot, record)) {
    // It may be one that we left behind under another address: that is dropped now, and a later attempt has the name.
    if (settings.gapAccepted) await states.giveUp(lease)
    throw foreignSlot(slot)
  }
  if (slot.confirmedLsn === null) throw new SourceError('SLOT_BUSY', '(it is being created)')
  if (settings.gapAccepted) {
    if (await dropSlot(client, record) === 'foreign') throw new SourceError('SLOT_FOREIGN')
    return undefined
  }
  await freeSlot(client, record)
  await states.own(lease, settings.revision, 'slot', true)
  await states.created(lease, settings.revision, slot.confirmedLsn)
  return slot.confirmedLsn
}

/**
 * Recorded before and confirmed after: a reader that dies in between leaves nothing that nobody drops, and takes
 * nothing that is not ours.
 */
async function create (options: OpenOptions): Promise<string> {
  const { client, settings, lease, states } = options
  await states.own(lease, settings.revision, 'slot', true)
  const lsn = await createSlot(client, settings.slot, options)
  await states.created(lease, settings.revision, lsn)
  return lsn
}
