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
  "(the platform's database is a copy, and the slot and publication belong to the original: give `slot` and " +
  '`publication` other names, with `acceptGap`)'

/** The settings of a connection, as its reader uses them. */
export interface ConnectionSettings {
  connectionString: string
  publication: string
  slot: string
  /** Part of the names and comments of what the connection creates. */
  mark: string
  /** The user has accepted that changes were lost. */
  gapAccepted: boolean
  /** The version of the connection's settings. */
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
  /** Makes sure that the publication has the tables that mappings need. */
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
 * Prepares the publication and the slot, and returns the position of the stream. A slot that is missing, or that was
 * advanced by others, is only replaced if the user has accepted the gap. Throws SourceError.
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

  // Created before the slot, because decoding reads the catalogue as of the slot's start and must find it there.
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

/** Finds the slot of the position. Throws SourceError unless it is as this platform left it. */
async function findAgain (
  { client, settings, states, lease, session }: OpenOptions, known: StreamState
): Promise<void> {
  const slot = await readSlot(client, settings.slot)
  if (slot !== undefined && known.slot !== settings.slot) throw foreignSlot(slot)
  if (slot?.isHere !== true || slot.walStatus === 'lost' || slot.confirmedLsn === null) {
    throw new SourceError('SLOT_LOST')
  }
  if (parseLsn(slot.confirmedLsn) > parseLsn(known.confirmedLsn)) throw new SourceError('SLOT_MOVED')
  await requireHistory(client, known)
  await freeSlot(client, { name: settings.slot, session })
  await states.takeBack(lease, settings.revision)
}

/**
 * Requires that the server still has what was read. A promoted standby may lack it: what it commits until its WAL is as
 * long would be skipped. Throws SourceError.
 */
async function requireHistory (client: SourceClient, { confirmedLsn, place }: StreamState): Promise<void> {
  const { rows: [row] } = await client.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn')
  const end = parseLsn(row?.lsn ?? '0/0')
  if (end < parseLsn(confirmedLsn) || end < parseLsn(place.commitLsn)) {
    throw new SourceError('SOURCE_REPLACED', '(its WAL ends before the position)')
  }
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
  const fields = { connectionId: lease.connectionId, slot: name, lsn: confirmedLsn }
  if (settings.gapAccepted) log.warn(fields, 'cdc.gap_accepted')
  else log.info(fields, 'cdc.slot_ready')
  return state
}

/**
 * Returns the position of a slot that an earlier reader of this connection created before it died. Returns undefined if
 * there is none, or if the gap is accepted, in which case the slot is dropped. Throws SourceError for a slot that this
 * connection did not create, and does not touch it.
 */
async function leftByUs (options: OpenOptions, record: SlotRecord, hasFreed = false): Promise<string | undefined> {
  const { client, settings, lease, states } = options
  const slot = await readSlot(client, record.name)
  if (slot === undefined) return undefined
  if (!hasFreed && slot.confirmedLsn === null && slot.activeName?.endsWith(` ${record.session}`) === true) {
    // An abandoned session of this platform is still creating it; ending the session removes it.
    await freeSlot(client, record)
    return await leftByUs(options, record, true)
  }
  if (!isOwnSlot(slot, record)) {
    // The slot may be a leftover of another address of this connection. It is dropped now, and a later attempt can use
    // the name.
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
 * Records the slot before it is created and confirms it afterwards. If the reader dies in between, a leftover slot is
 * still dropped, and a foreign slot is never taken over.
 */
async function create (options: OpenOptions): Promise<string> {
  const { client, settings, lease, states } = options
  await states.own(lease, settings.revision, 'slot', true)
  const lsn = await createSlot(client, settings.slot, options)
  await states.created(lease, settings.revision, lsn)
  return lsn
}
