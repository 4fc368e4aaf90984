import { sql, type Kysely, type Selectable } from 'kysely'
import type { Database, WebhooksTable } from '../../db/tables.ts'
import type { Scope } from '../../schemas/scope.ts'
import {
  webhookList, type SecretRotation, type Webhook, type WebhookCreate, type WebhookQuery, type WebhookUpdate,
  type WebhookWithSecret
} from '../../schemas/webhooks.ts'
import type { Origin } from '../identity/audit/origin.ts'
import { record } from '../identity/audit/record.ts'
import type { Principal } from '../identity/access/principal.ts'
import { authorizeListeningTo } from '../identity/access/reading.ts'
import type { WebhookSettings } from '../config/webhook-settings.ts'
import type { Encryption } from '../foundation/encryption/encryption.ts'
import { ConflictError } from '../errors.ts'
import { randomId } from '../foundation/ids.ts'
import { isValue } from '../foundation/lists/filters.ts'
import { List, nullableText, number, text } from '../foundation/lists/list.ts'
import { readPage } from '../foundation/lists/read-page.ts'
import type { PageOf } from '../foundation/paging.ts'
import { sealedPlaces } from '../foundation/encryption/reencrypt.ts'
import type { AddressGuard } from './http/address-guard.ts'
import { readerOf } from './readers.ts'
import { checkSecret, generateSecret, rotated } from './secrets.ts'
import { deleteDeliveries } from './delete-deliveries.ts'
import { getEndpointRow, toWebhook, type EndpointValues, type Within } from './endpoint-rows.ts'
import { checkUrl, makesReader, valuesOf } from './endpoint-settings.ts'
import { incrementWebhookVersion } from './webhook-version.ts'

/** The quota of webhooks. */
export interface WebhookQuota {
  /** Throws QuotaExceededError unless an application with so many webhooks may create another. */
  requireWebhook (applicationId: string, count: number): void
}

export interface EndpointsOptions {
  db: Kysely<Database>
  encryption: Encryption
  guard: AddressGuard
  settings: WebhookSettings
  log: { warn (fields: object, message: string): void }
  quota: WebhookQuota
  /** Runs after a change is committed and before it is acknowledged: caches of webhooks on this node reload. */
  onChanged (applicationId: string, webhookId: string): Promise<void>
}

/**
 * Manages the webhooks of an application. Each change increments the application's webhook version in its own
 * transaction, so that the next batch of every node sees it. Each function throws NotFoundError `WEBHOOK_NOT_FOUND` for
 * a webhook of another application.
 */
export function createEndpoints ({ db, encryption, guard, settings, log, quota, onChanged }: EndpointsOptions) {
  /** Locks the webhook, changes it and announces the change to all nodes. */
  async function change (
    scope: Scope,
    id: string,
    within: Within,
    by: Origin,
    action: `webhook.${string}`,
    values: (row: Selectable<WebhooksTable>, now: number) => Partial<EndpointValues>
  ): Promise<Selectable<WebhooksTable>> {
    const changed = await db.transaction().execute(async trx => {
      await incrementWebhookVersion(trx, scope.applicationId)
      const row = await getEndpointRow(trx, scope, id, within)
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

  return {
    list: async (
      scope: Scope, { active, event, ...query }: WebhookQuery, within?: Within
    ): Promise<PageOf<Webhook>> =>
      await readPage(db, list, query, {
        from: db.selectFrom('webhooks').selectAll().where('application_id', '=', scope.applicationId),
        filters: [
          isValue('active', active),
          event === undefined ? undefined : sql<boolean>`events && array[${event}, '*']`,
          within === undefined ? undefined : sql<boolean>`environments = array[${within}]`
        ],
        toItem: toWebhook
      }),

    async get (scope: Scope, id: string, within?: Within): Promise<Webhook> {
      return toWebhook(await getEndpointRow(db, scope, id, within))
    },

    /**
     * Creates a webhook. Throws ValidationError `WEBHOOK_URL_FORBIDDEN` for a forbidden address, ConflictError
     * `WEBHOOK_LIMIT`, QuotaExceededError, ForbiddenError `ENVIRONMENT_FORBIDDEN` when a pinned token names another
     * environment, and `PERMISSION_DENIED` unless `reader` may read everything that the webhook listens to. Without a
     * reader, the webhook belongs to the platform and may read everything.
     */
    async create (
      scope: Scope, input: WebhookCreate, within: Within, by: Origin, reader: Principal | undefined
    ): Promise<WebhookWithSecret> {
      const values = valuesOf({
        ...input,
        ...(within !== undefined && input.environments === undefined && { environments: [within] })
      }, within)
      const url = checkUrl(input.url, guard)
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
        await incrementWebhookVersion(trx, scope.applicationId)
        const { count } = await trx.selectFrom('webhooks').select(({ fn }) => fn.countAll<number>().as('count'))
          .where('application_id', '=', scope.applicationId).executeTakeFirstOrThrow()
        quota.requireWebhook(scope.applicationId, count)
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
     * Updates a webhook; deliveries that already exist stay as they were matched. Throws as `create` does. A principal
     * that changes URL, events, topics, filter or environments needs those permissions, and becomes the reader. Other
     * changes leave the reader as it is.
     */
    async update (
      scope: Scope, id: string, input: WebhookUpdate, within: Within, by: Origin, reader: Principal | undefined
    ): Promise<Webhook> {
      const values = valuesOf(input, within)
      const url = input.url === undefined ? {} : { url: checkUrl(input.url, guard) }
      // A new URL starts without a history of failures.
      return toWebhook(await change(scope, id, within, by, 'webhook.updated', row => {
        const isReader = reader !== undefined && makesReader(reader, scope, { ...row, ...values }, input)
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
        await incrementWebhookVersion(trx, scope.applicationId)
        const row = await getEndpointRow(trx, scope, id, within)
        await trx.deleteFrom('webhooks').where('id', '=', row.id).execute()
        await record(trx, by, {
          action: 'webhook.deleted', resourceId: id, place: placeOf(scope), before: toWebhook(row)
        })
      })
      await onChanged(scope.applicationId, id)
      try {
        await deleteDeliveries(db, scope.applicationId, id)
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
    find: (scope: Scope, id: string, within?: Within) => getEndpointRow(db, scope, id, within)
  }
}
export type Endpoints = ReturnType<typeof createEndpoints>

const list = new List(webhookList, {
  columns: {
    createdAt: number('created_at'), updatedAt: number('updated_at'), url: text('url'),
    description: nullableText('description')
  },
  identity: [text('id')]
})

/** Webhooks belong to an application, whatever environment the request names. */
const placeOf = ({ applicationId }: Scope) => ({ applicationId })

/** Returns no changes when the webhook already is in the requested state. */
function activity (row: Pick<WebhooksTable, 'active'>, active: boolean | undefined): Partial<EndpointValues> {
  if (active === undefined || active === row.active) return {}
  return { active, deactivated_reason: null, ...(active && { failing_since: null }) }
}
