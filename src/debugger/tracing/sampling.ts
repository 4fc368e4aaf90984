import type { Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { Sampling as Setting } from '../../../schemas/debugger.ts'
import { scopeKey, type Environment, type Scope } from '../../../schemas/scope.ts'
import type { Origin } from '../../identity/audit/origin.ts'
import { record } from '../../identity/audit/record.ts'

/** Interval at which the settings are reloaded: every node applies a change within it. */
const pollMs = 2000
/** Limit of settings per read. Few exist, because most scopes use the default. */
const settingsMax = 10_000

export interface SamplingOptions {
  db: Kysely<Database>
  /** The share of events to trace in a scope without a setting. */
  defaultShare: number
  log: { warn (fields: object, message: string): void }
}

/**
 * Decides which events are traced. The decision depends only on the scope's share and the event's ID, so that it is the
 * same for every step of an event and on every node.
 */
export class Sampling {
  readonly #options: SamplingOptions
  #shares = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined

  constructor (options: SamplingOptions) {
    this.#options = options
  }

  async start (): Promise<void> {
    await this.#read()
    this.#timer = setInterval(() => {
      this.#read().catch((err: unknown) => this.#options.log.warn({ err }, 'traces.sampling_unknown'))
    }, pollMs).unref()
  }

  stop (): void { clearInterval(this.#timer) }

  shareOf (scope: Scope): number {
    if (this.#shares.size === 0) return this.#options.defaultShare
    return this.#shares.get(scopeKey(scope)) ?? this.#options.defaultShare
  }

  isSampled (scope: Scope, eventId: string): boolean {
    const share = this.shareOf(scope)
    return share >= 1 || (share > 0 && fractionOf(eventId) < share)
  }

  async setting (scope: Scope, db: Kysely<Database> = this.#options.db): Promise<Setting> {
    const row = await db.selectFrom('trace_settings').select('sample')
      .where('application_id', '=', scope.applicationId).where('environment', '=', scope.environment).executeTakeFirst()
    return {
      sample: row?.sample ?? this.#options.defaultShare, isDefault: row?.sample === null || row?.sample === undefined
    }
  }

  /**
   * Sets the share; null restores the server's default. This node applies it at once, the others within two seconds.
   */
  async set (scope: Scope, share: number | null, by: Origin): Promise<Setting> {
    // Rounded as the column stores it: it rejects values too small for its type.
    const values = { sample: share === null ? null : Math.fround(share), updated_at: Date.now() }
    const after = await this.#options.db.transaction().execute(async trx => {
      const before = await this.setting(scope, trx)
      await trx.insertInto('trace_settings').values({
        application_id: scope.applicationId,
        environment: scope.environment,
        ...values
      })
        .onConflict(conflict => conflict.columns(['application_id', 'environment']).doUpdateSet(values)).execute()
      const after = await this.setting(scope, trx)
      await record(trx, by, { action: 'trace_sampling.updated', place: scope, before, after })
      return after
    })
    await this.#read()
    return after
  }

  async #read (): Promise<void> {
    const rows = await this.#options.db.selectFrom('trace_settings').select(['application_id', 'environment', 'sample'])
      .where('sample', 'is not', null).limit(settingsMax).execute()
    this.#shares = new Map(
      rows.map(
        row => [
          scopeKey({ applicationId: row.application_id, environment: row.environment as Environment }),
          row.sample as number
        ]
      )
    )
  }
}

/**
 * Maps an event's ID to a number from 0 to 1: FNV-1a with the finalizer of MurmurHash3, because the IDs of a run differ
 * in few letters.
 */
export function fractionOf (id: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32
}
