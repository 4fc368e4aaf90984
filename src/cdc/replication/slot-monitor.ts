import { SourceError, type SourceClient } from '../source/source.ts'
import { parseLsn, type LeaseKey } from '../source/stream-state.ts'
import type { StreamProgress } from '../threads/methods.ts'
import type { ReaderParts } from './reader-parts.ts'

export interface SlotMonitorOptions
  extends Pick<ReaderParts, 'states' | 'timing' | 'retainedBytesWarning' | 'metrics' | 'log'> {
  lease: LeaseKey
  slot: string
  publication: string
}

/** Watches what the stream does not report: a lost slot or publication, retained WAL, and a silent session. */
export class SlotMonitor {
  readonly #options: SlotMonitorOptions
  #heardAt = 0
  /** Whether this node holds up the stream. */
  #isBusy = false
  #isWarned = false
  #retainedBytes: number | null = null
  #decodingSince: number | null = null

  constructor (options: SlotMonitorOptions) {
    this.#options = options
  }

  get retainedBytes (): number | null { return this.#retainedBytes }

  /** Since when the server has been silent because it decodes a transaction. */
  get decodingSince (): number | null { return this.#decodingSince }

  /** Records that the server has sent something. */
  heard (): void {
    this.#heardAt = performance.now()
  }

  follow ({ messages, isIdle }: Pick<StreamProgress, 'messages' | 'isIdle'>): void {
    if (messages > 0) this.heard()
    this.#isBusy = !isIdle
  }

  /**
   * Returns the server's LSN. `session` marks the session that streams. Throws SourceError `SLOT_LOST`,
   * `PUBLICATION_LOST`, or `SOURCE_UNREACHABLE` if that session has ended without notice.
   */
  async look (client: SourceClient, session: string): Promise<bigint> {
    const { lease, slot, publication, states } = this.#options
    const { rows: [row] } = await client.query<
      { retained: number, wal_status: string, server: string, publication_oid: number | null, sent: string | null }
    >(
      `
      select pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::float8 as retained, s.wal_status,
        pg_current_wal_lsn()::text as server,
        (select oid::bigint::float8 from pg_publication where pubname = $2) as publication_oid,
        (select r.sent_lsn::text from pg_stat_replication r
          where r.pid = s.active_pid and r.application_name like '% ' || $3) as sent
      from pg_replication_slots s where s.slot_name = $1`, [slot, publication, session])
    if (row === undefined) throw new SourceError('SLOT_LOST')
    this.#requireLife(row.sent)
    const { publicationOid } = await states.read(lease)
    if (row.publication_oid !== publicationOid) throw new SourceError('PUBLICATION_LOST')
    this.#reportRetained(row.retained, row.wal_status)
    return parseLsn(row.server)
  }

  /**
   * Throws when the stream is silent and its session no longer holds the slot, as after the server's
   * `wal_sender_timeout`. A silent server whose session still holds the slot is decoding.
   */
  #requireLife (sent: string | null): void {
    const { timing, lease, log } = this.#options
    const silentMs = performance.now() - this.#heardAt
    const isSilent = silentMs > timing.silenceMaxMs
    if (isSilent && sent === null) throw new SourceError('SOURCE_UNREACHABLE', '(the stream is silent)')
    // While this node holds up the stream, silence does not mean that the server decodes.
    const isDecoding = isSilent && !this.#isBusy
    if (isDecoding && this.#decodingSince === null) {
      log.info(
        { connectionId: lease.connectionId, sentLsn: sent, retainedBytes: this.#retainedBytes }, 'cdc.source_decodes'
      )
    }
    this.#decodingSince = isDecoding ? this.#decodingSince ?? Date.now() - Math.round(silentMs) : null
  }

  #reportRetained (retainedBytes: number, walStatus: string): void {
    const { lease: { connectionId }, retainedBytesWarning, metrics, log } = this.#options
    this.#retainedBytes = retainedBytes
    metrics.cdcRetainedBytes.set(connectionId, retainedBytes)
    const isAlarming = retainedBytes > retainedBytesWarning || walStatus === 'unreserved' || walStatus === 'lost'
    if (isAlarming && !this.#isWarned) log.warn({ connectionId, retainedBytes, walStatus }, 'cdc.wal_retained')
    this.#isWarned = isAlarming
  }
}
