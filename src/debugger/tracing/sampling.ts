import type { Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { Sampling as Setting } from '../../../schemas/debugger.ts'
import { scopeKey, type Environment, type Scope } from '../../../schemas/scope.ts'
import type { Origin } from '../../identity/audit/origin.ts'
import { record } from '../../identity/audit/record.ts'

/** How often the settings are read again: every node follows within it. */
const pollMs = 2000
/** Settings that are read at once; there are few, since most scopes have none. */
const settingsMax = 10_000

export interface SamplingOptions {
  db: Kysely<Database>
  /** The share of events that is traced where nothing else is set. */
  defaultShare: number
  log: { warn (fields: object, message: string): void }
}

/**
 * Which events are traced. It depends on the scope's share and the event's id alone, so that every step of an event,
 * and every node, agrees.
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

  /** Null: as the server is configured. This node follows at once, the others within two seconds. */
  async set (scope: Scope, share: number | null, by: Origin): Promise<Setting> {
    // As the column keeps it, which refuses what is too small for it.
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
 * An event's id as a number from 0 to 1: FNV-1a, with the finish of MurmurHash3 because ids of a run differ in few
 * letters.
 */
export function fractionOf (id: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32
}
