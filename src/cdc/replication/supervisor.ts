import { setTimeout as sleep } from 'node:timers/promises'
import type { Component } from '../../../schemas/health.ts'
import type { Encryption } from '../../foundation/encryption/encryption.ts'
import { sealedPlaces } from '../../foundation/encryption/reencrypt.ts'
import type { SlotCleanup } from './slot-cleanup.ts'
import type { ConnectionRow, ReaderLeases } from './reader-leases.ts'
import { Reader } from './reader.ts'
import type { ReaderParts } from './reader-parts.ts'

export interface SupervisorOptions extends ReaderParts {
  leases: ReaderLeases
  encryption: Encryption
  slotCleanup: SlotCleanup
  /** The interval between checks of the connections; each check renews the leases. */
  intervalMs: number
  /** How long entries of the delivery log are kept. */
  logRetentionMs: number
}

const sweepEveryMs = 10 * 60_000
/** After this long without a check, this node no longer takes over readers of failed nodes. */
const stalledAfterMs = 30_000

interface Held { reader: Reader, revision: number }

/** Runs the readers of all connections, across all tenants, whose leases this node holds. Takes free leases. */
export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #held = new Map<string, Held>()
  /** Readers that are closing; leases of the others are renewed meanwhile. */
  readonly #ending = new Map<string, Promise<void>>()
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined
  #tidying: Promise<void> | undefined
  #wake = () => {}
  #lookedAt = Date.now()
  #sweptAt = 0
  #isFailing = false

  constructor (options: SupervisorOptions) {
    this.#options = options
  }

  start (): void {
    this.#running ??= this.#run()
  }

  /** Checks the connections at once. */
  look (): void {
    this.#wake()
  }

  /** Closes all readers. Call it before the writer and the pool are closed. */
  async close (): Promise<void> {
    this.#stop.abort()
    this.#wake()
    await this.#running
    for (const id of this.#held.keys()) this.#end(id)
    await Promise.all(this.#ending.values())
    await this.#tidying
  }

  /** Reports failing readers, but one tenant's unreachable database does not make the node unhealthy. */
  health (): Component {
    const readers = [...this.#held.values()].map(({ reader }) => reader)
    const ailing = readers.filter(reader => reader.state !== 'streaming')
    const codes = [...new Set(ailing.map(reader => reader.problem ?? 'CONNECTING'))]
    const heartbeatAgeMs = Date.now() - this.#lookedAt
    const decoding = readers.filter(reader => reader.isDecoding).length
    const message = [
      ...ailing.length > 0 ? [`${ailing.length} of ${readers.length} readers do not stream: ${codes.join(', ')}`] : [],
      ...decoding > 0
        ? [`${decoding} of ${readers.length} readers wait for a server that decodes a large transaction`]
        : []
    ].join('; ')
    return {
      status: heartbeatAgeMs > stalledAfterMs ? 'failed' : ailing.length > 0 ? 'degraded' : 'ok',
      heartbeatAgeMs,
      depth: readers.length,
      ...(message !== '' && { message })
    }
  }

  async #run (): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      const woken = new Promise<void>(resolve => { this.#wake = resolve })
      try {
        await this.#look()
        this.#isFailing = false
      } catch (err) {
        // The platform's database is unreachable: readers end by themselves, and fences refuse the writes of others.
        if (!this.#isFailing) this.#options.log.warn({ err }, 'cdc.look_failed')
        this.#isFailing = true
      }
      this.#count()
      const timer = new AbortController()
      await Promise.race([woken, sleep(this.#options.intervalMs, undefined, { signal: timer.signal }).catch(() => {})])
      timer.abort()
    }
  }

  async #look (): Promise<void> {
    const { leases } = this.#options
    const ours = await leases.renew([...this.#held.values()].map(({ reader }) => reader.lease))
    const connections = new Map((await leases.connections()).map(connection => [connection.id, connection]))
    this.#lookedAt = Date.now()
    for (const [id, { reader, revision }] of this.#held) {
      if (connections.get(id)?.revision !== revision || !ours.has(id) || !reader.hasLease) this.#end(id)
    }
    for (const connection of connections.values()) {
      if (this.#stop.signal.aborted) return
      if (connection.isFree && !this.#held.has(connection.id) && !this.#ending.has(connection.id)) {
        await this.#begin(connection)
      }
    }
    this.#tidy()
    await this.#sweep()
  }

  async #begin (connection: ConnectionRow): Promise<void> {
    const { leases, encryption, log } = this.#options
    let connectionString: string
    try {
      connectionString = encryption.decrypt(connection.sealed, sealedPlaces.connection(connection.id))
    } catch (err) {
      return log.error({ err, connectionId: connection.id }, 'cdc.secret_unreadable')
    }
    const lease = await leases.take(connection.id)
    if (lease === undefined) return
    const { scope, publication, slot, mark, gapAccepted, revision } = connection
    const reader = new Reader(
      scope, lease, { connectionString, publication, slot, mark, gapAccepted, revision }, this.#options
    )
    this.#held.set(connection.id, { reader, revision })
  }

  /** Ends a reader. Any node may take the connection afterwards; this one checks at once. */
  #end (id: string): void {
    const held = this.#held.get(id)
    if (held === undefined) return
    this.#held.delete(id)
    const ending = this.#close(held).finally(() => {
      this.#ending.delete(id)
      this.#wake()
    })
    this.#ending.set(id, ending)
  }

  /** Never rejects. */
  async #close ({ reader }: Held): Promise<void> {
    await reader.close()
    await this.#options.leases.release(reader.lease).catch(() => {})
  }

  /**
   * Runs cleanup in the background, because an unreachable database takes time; and after closing readers, which still
   * hold their slots.
   */
  #tidy (): void {
    const { slotCleanup, log } = this.#options
    this.#tidying ??= Promise.all(this.#ending.values()).then(() => slotCleanup.dropDue(this.#stop.signal))
      .catch(err => log.warn({ err }, 'cdc.tidy_failed')).finally(() => { this.#tidying = undefined })
  }

  #count (): void {
    const { cdcReaders } = this.#options.metrics
    cdcReaders.reset()
    for (const { reader } of this.#held.values()) cdcReaders.inc({ state: reader.state })
  }

  async #sweep (): Promise<void> {
    if (Date.now() - this.#sweptAt < sweepEveryMs) return
    this.#sweptAt = Date.now()
    const { pool, logRetentionMs } = this.#options
    await pool.query('delete from database_logs where created_at < $1', [Date.now() - logRetentionMs])
  }
}
