import { sql, type Kysely, type Selectable, type Transaction } from 'kysely'
import type { Database, WebhooksTable } from '../../db/tables.ts'
import type { PageQuery } from '../../schemas/common.ts'
import type { Environment, Scope } from '../../schemas/scope.ts'
import type {
  SecretRotation, Webhook, WebhookCreate, WebhookUpdate, WebhookWithSecret
} from '../../schemas/webhooks.ts'
import type { Origin } from '../identity/audit/origin.ts'
import { record } from '../identity/audit/record.ts'
import type { Principal } from '../identity/access/principal.ts'
import { authorizeListeningTo, type ListensTo } from '../identity/access/reading.ts'
import { isTopicPattern } from '../foundation/topic-pattern.ts'
import type { WebhookSettings } from '../config.ts'
import { acceptFilter } from '../delivery/matching/filter.ts'
import type { Encryption } from '../foundation/encryption/encryption.ts'
import { ConflictError, ForbiddenError, NotFoundError, ValidationError } from '../errors.ts'
import { randomId } from '../foundation/ids.ts'
import { invalid } from '../foundation/json.ts'
import { decodeCursor, toPage, type PageOf } from '../foundation/paging.ts'
import { sealedPlaces } from '../foundation/encryption/reencrypt.ts'
import { ForbiddenAddressError, type AddressGuard } from './http/address-guard.ts'
import { readerOf } from './readers.ts'
import { checkSecret, generateSecret, rotated } from './secrets.ts'

/** Rows that one statement deletes. */
const rowsAtOnce = 10_000

export interface EndpointsOptions {
  db: Kysely<Database>
  encryption: Encryption
  guard: AddressGuard
  settings: WebhookSettings
  log: { warn (fields: object, message: string): void }
  /** Runs after a change is committed and before it is acknowledged: caches of webhooks on this node reload. */
  onChanged (applicationId: string, webhookId: string): Promise<void>
}

/** The environment of a pinned token: it sees only webhooks that listen to this environment alone. */
export type Within = Environment | undefined

/**
 * Manages the webhooks of an application. Each change increments the application's webhook version in its own
 * transaction, so that the next batch of every node sees it. Each function throws NotFoundError `WEBHOOK_NOT_FOUND` for
 * a webhook of another application.
 */
export function createEndpoints ({ db, encryption, guard, settings, log, onChanged }: EndpointsOptions) {
  const find = async (
    from: Kysely<Database>, scope: Scope, id: string, within: Within
  ): Promise<Selectable<WebhooksTable>> => {
    const row = await from.selectFrom('webhooks').selectAll().where('id', '=', id).where(
      'application_id', '=', scope.applicationId
    ).executeTakeFirst()
    if (row === undefined || !isVisible(row, within)) throw webhookNotFound(id)
    return row
  }

  /** Locks the webhook, changes it and announces the change to all nodes. */
  async function change (
    scope: Scope,
    id: string,
    within: Within,
    by: Origin,
    action: `webhook.${string}`,
    values: (row: Selectable<WebhooksTable>, now: number) => Partial<Values>
  ): Promise<Selectable<WebhooksTable>> {
    const changed = await db.transaction().execute(async trx => {
      await countUp(trx, scope.applicationId)
      const row = await find(trx, scope, id, within)
      const now = Date.now()
      const after = await trx.updateTable('webhooks').set({ ...values(row, now), updated_at: now }).where(
        'id', '=', row.id
      ).returningAll().executeTakeFirstOrThrow()
      await record(trx, by, {
        action, resourceId: id, place: placeOf(scope), before: toWebhook(row), after: toWebhook(after)
      })
      return after
    })
    await onChanged(scope.applicationId, id)
    return changed
  }

  function checkUrl (text: string): string {
    let url: URL
    try {
      url = new URL(text)
    } catch {
      throw invalid('/url', 'must be a URL')
    }
    if (url.username !== '' || url.password !== '') throw invalid('/url', 'must not contain a user name or a password')
    try {
      guard.checkScheme(url.protocol, url.hostname)
      guard.checkHost(url.hostname)
    } catch (error) {
      if (error instanceof ForbiddenAddressError) throw forbiddenUrl(error.message)
      throw error
    }
    url.hash = ''
    return url.href
  }

  return {
    /** Lists webhooks, oldest first. */
    async list (scope: Scope, { limit = 100, cursor }: PageQuery, within?: Within): Promise<PageOf<Webhook>> {
      let query = db.selectFrom('webhooks').selectAll().where('application_id', '=', scope.applicationId).orderBy(
        'created_at'
      ).orderBy('id').limit(limit + 1)
      if (within !== undefined) query = query.where(sql<boolean>`environments = array[${within}]`)
      if (cursor !== undefined) {
        const [createdAt, id] = decodeCursor(cursor, ['number', 'string'])
        query = query.where(sql<boolean>`(created_at, id) > (${createdAt}, ${id})`)
      }
      return toPage(await query.execute(), limit, toWebhook, row => [row.created_at, row.id])
    },

    async get (scope: Scope, id: string, within?: Within): Promise<Webhook> {
      return toWebhook(await find(db, scope, id, within))
    },

    /**
     * Creates a webhook. Throws ValidationError `WEBHOOK_URL_FORBIDDEN` for a forbidden address, ConflictError
     * `WEBHOOK_LIMIT`, ForbiddenError `ENVIRONMENT_FORBIDDEN` when a pinned token names another environment, and
     * `PERMISSION_DENIED` unless `reader` may read everything that the webhook listens to. Without a reader, the
     * webhook belongs to the platform and may read everything.
     */
    async create (
      scope: Scope, input: WebhookCreate, within: Within, by: Origin, reader: Principal | undefined
    ): Promise<WebhookWithSecret> {
      const values = valuesOf({
        ...input,
        ...(within !== undefined && input.environments === undefined && { environments: [within] })
      }, within)
      const url = checkUrl(input.url)
      if (reader !== undefined) {
        authorizeListeningTo(reader, scope.applicationId, {
          topics: null,
          environments: null,
          ...values,
          events: input.events
        })
      }
      const secret = input.secret === undefined ? generateSecret() : checkSecret(input.secret)
      const now = Date.now()
      const row = await db.transaction().execute(async trx => {
        await countUp(trx, scope.applicationId)
        const { count } = await trx.selectFrom('webhooks').select(({ fn }) => fn.countAll<number>().as('count'))
          .where('application_id', '=', scope.applicationId).executeTakeFirstOrThrow()
        if (count >= settings.perApplicationMax) {
          throw new ConflictError(
            'WEBHOOK_LIMIT',
            `The application has reached its limit of ${settings.perApplicationMax} webhooks. Delete one first`
          )
        }
        const id = randomId('wh')
        const made = await trx.insertInto('webhooks').values({
          id,
          application_id: scope.applicationId,
          events: input.events,
          ordering: 'none',
          active: true,
          ...values,
          url,
          secrets: JSON.stringify([{ sealed: encryption.encrypt(secret, sealedPlaces.webhook(id)), until: null }]),
          reader: reader === undefined ? null : JSON.stringify(readerOf(reader)),
          created_at: now,
          updated_at: now
        }).returningAll().executeTakeFirstOrThrow()
        await record(trx, by, {
          action: 'webhook.created', resourceId: made.id, place: placeOf(scope), after: toWebhook(made)
        })
        return made
      })
      await onChanged(scope.applicationId, row.id)
      return { ...toWebhook(row), ...(input.secret === undefined && { secret }) }
    },

    /**
     * Updates a webhook; deliveries that already exist stay as they were matched. A principal that may read everything
     * the webhook listens to becomes its reader. Throws as `create` does. Changes to URL, events, topics, filter or
     * environments require those permissions; disabling the webhook does not.
     */
    async update (
      scope: Scope, id: string, input: WebhookUpdate, within: Within, by: Origin, reader: Principal | undefined
    ): Promise<Webhook> {
      const values = valuesOf(input, within)
      const url = input.url === undefined ? {} : { url: checkUrl(input.url) }
      // A new URL starts without a history of failures.
      return toWebhook(await change(scope, id, within, by, 'webhook.updated', row => {
        const isReader = reader !== undefined && mayBeReader(reader, scope, { ...row, ...values }, input)
        return {
          ...values,
          ...url,
          ...(url.url !== undefined && url.url !== row.url && { failing_since: null }),
          ...activity(row, input.active),
          ...(isReader && { reader: JSON.stringify(readerOf(reader)) })
        }
      }))
    },

    /** Deletes a webhook with its deliveries and its log of attempts. */
    async remove (scope: Scope, id: string, within: Within, by: Origin): Promise<void> {
      await db.transaction().execute(async trx => {
        await countUp(trx, scope.applicationId)
        const row = await find(trx, scope, id, within)
        await trx.deleteFrom('webhooks').where('id', '=', row.id).execute()
        await record(trx, by, {
          action: 'webhook.deleted', resourceId: id, place: placeOf(scope), before: toWebhook(row)
        })
      })
      await onChanged(scope.applicationId, id)
      try {
        await removeOwned(db, scope.applicationId, id)
      } catch (err) {
        // The rows are no longer reachable; retention deletes them.
        log.warn({ err, webhookId: id }, 'webhook.deliveries_left_behind')
      }
    },

    /**
     * Activates a webhook. Pending deliveries continue; events published while the webhook was inactive are not
     * delivered.
     */
    async activate (scope: Scope, id: string, within: Within, by: Origin): Promise<Webhook> {
      return toWebhook(await change(scope, id, within, by, 'webhook.activated', row => activity(row, true)))
    },

    async deactivate (scope: Scope, id: string, within: Within, by: Origin): Promise<Webhook> {
      return toWebhook(await change(scope, id, within, by, 'webhook.deactivated', row => activity(row, false)))
    },

    /**
     * Adds a new secret. Earlier secrets keep signing for a day beside it. Throws ConflictError `WEBHOOK_LIMIT` when
     * too many secrets would sign at once.
     */
    async rotateSecret (
      scope: Scope, id: string, input: SecretRotation, within: Within, by: Origin
    ): Promise<WebhookWithSecret> {
      const secret = input.secret === undefined ? generateSecret() : checkSecret(input.secret)
      const row = await change(
        scope,
        id,
        within,
        by,
        'webhook.secret_rotated',
        (row, now) => ({
          secrets: JSON.stringify(rotated(row.secrets, encryption.encrypt(secret, sealedPlaces.webhook(row.id)), now))
        })
      )
      return { ...toWebhook(row), ...(input.secret === undefined && { secret }) }
    },

    /** Returns the row for sending, including the encrypted secrets. */
    find: (scope: Scope, id: string, within?: Within) => find(db, scope, id, within)
  }
}
export type Endpoints = ReturnType<typeof createEndpoints>

/** Webhooks belong to an application, whatever environment the request names. */
const placeOf = ({ applicationId }: Scope) => ({ applicationId })

/** Returns no changes when the webhook already is in the requested state. */
function activity (row: Pick<WebhooksTable, 'active'>, active: boolean | undefined): Partial<Values> {
  if (active === undefined || active === row.active) return {}
  return { active, deactivated_reason: null, ...(active && { failing_since: null }) }
}

/** Fields that decide which events go to which endpoint. */
const decisive = ['url', 'events', 'topics', 'filter', 'environments'] as const

/**
 * Returns whether the principal may read everything that the changed webhook listens to. Throws ForbiddenError when it
 * may not and the change requires it.
 */
function mayBeReader (
  principal: Principal, { applicationId }: Scope, webhook: ListensTo, change: WebhookUpdate
): boolean {
  try {
    authorizeListeningTo(principal, applicationId, webhook)
    return true
  } catch (error) {
    if (!(error instanceof ForbiddenError) || decisive.some(name => change[name] !== undefined)) throw error
    return false
  }
}

interface Values {
  url: string
  description: string | null
  events: string[]
  topics: string[] | null
  filter: string | null
  environments: Environment[] | null
  ordering: string
  rate_limit: number | null
  active: boolean
  deactivated_reason: string | null
  failing_since: number | null
  secrets: string
  reader: string | null
}

/** Serializes the changes to an application's webhooks, and makes the next batch of every node reload them. */
export async function countUp (trx: Transaction<Database>, applicationId: string): Promise<void> {
  const now = Date.now()
  const counted = await trx.insertInto('webhook_versions')
    .columns(['application_id', 'version', 'changed_at'])
    // Locks the application's row, so that the application cannot be deleted meanwhile.
    .expression(eb =>
      eb.selectFrom('applications').where('id', '=', applicationId).forKeyShare().select([
        'id', eb.cast<number>(eb.val(1), 'bigint').as('version'),
        eb.cast<number>(eb.val(now), 'bigint').as('changed_at')
      ])
    )
    .onConflict(conflict =>
      conflict.column('application_id').doUpdateSet({ version: sql`webhook_versions.version + 1`, changed_at: now })
    )
    .returning('version').executeTakeFirst()
  if (counted === undefined) throw new NotFoundError('APPLICATION_NOT_FOUND', `Application not found: ${applicationId}`)
}

/** Deletes in batches the deliveries and attempts of one webhook, or of all webhooks of the application. */
export async function removeOwned (db: Kysely<Database>, applicationId: string, webhookId?: string): Promise<void> {
  for (const table of ['webhook_deliveries', 'webhook_attempts'] as const) {
    for (let isMore = true; isMore;) {
      const { numAffectedRows = 0n } = await sql`delete from ${sql.table(table)} where ctid = any(array(
        select ctid from ${sql.table(table)} where application_id = ${applicationId} ${
        webhookId === undefined ? sql`` : sql`and webhook_id = ${webhookId}`
      }
        limit ${rowsAtOnce}))`.execute(db)
      isMore = numAffectedRows >= BigInt(rowsAtOnce)
    }
  }
  if (webhookId === undefined) {
    await db.deleteFrom('webhook_events').where('application_id', '=', applicationId).execute()
  }
}

export const webhookNotFound = (id: string) => new NotFoundError('WEBHOOK_NOT_FOUND', `Webhook not found: ${id}`)

const forbiddenUrl = (reason: string) =>
  new ValidationError('WEBHOOK_URL_FORBIDDEN', `The webhook URL is not allowed: ${reason}`, {
    details: [{ path: '/url', message: reason }]
  })

const isVisible = ({ environments }: Pick<WebhooksTable, 'environments'>, within: Within) =>
  within === undefined || (environments?.length === 1 && environments[0] === within)

/** Checks the fields that create and update share. A pinned token may only name its own environment. */
function valuesOf (input: WebhookUpdate, within: Within): Partial<Omit<Values, 'url' | 'secrets'>> {
  const { events, topics, filter, environments, ordering, rateLimit, description } = input
  for (const [i, pattern] of (topics ?? []).entries()) {
    if (!isTopicPattern(pattern)) {
      throw invalid(
        `/topics/${i}`,
        'is not a topic or a pattern: `*` stands for one segment, `**` at the end for all remaining segments'
      )
    }
  }
  if (filter !== undefined && filter !== null) acceptFilter(filter)
  if (
    within !== undefined && environments !== undefined &&
    (environments === null || environments.some(one => one !== within))
  ) {
    throw new ForbiddenError(
      'ENVIRONMENT_FORBIDDEN', `The token is pinned to ${within} and can only manage webhooks of that environment alone`
    )
  }
  return {
    ...(events !== undefined && { events }),
    ...(topics !== undefined && { topics }),
    ...(filter !== undefined && { filter: filter === null ? null : JSON.stringify(filter) }),
    ...(environments !== undefined && { environments }),
    ...(ordering !== undefined && { ordering }),
    ...(rateLimit !== undefined && { rate_limit: rateLimit }),
    ...(description !== undefined && { description })
  }
}

function toWebhook (row: Selectable<WebhooksTable>): Webhook {
  return {
    id: row.id,
    url: row.url,
    events: row.events,
    topics: row.topics,
    filter: row.filter === null ? null : JSON.parse(row.filter) as Record<string, unknown>,
    environments: row.environments,
    ordering: row.ordering as Webhook['ordering'],
    rateLimit: row.rate_limit,
    description: row.description,
    active: row.active,
    deactivatedReason: row.deactivated_reason as Webhook['deactivatedReason'],
    failingSince: row.failing_since,
    applicationId: row.application_id,
    createdAt: row.created_at,
    updatedAt: row.updated_at
  }
}
