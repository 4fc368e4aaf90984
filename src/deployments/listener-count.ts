import type { Kysely } from 'kysely'
import type { Database } from '../../db/tables.ts'
import type { Deployment } from '../../schemas/deployments.ts'
import { scopeKey, type Environment, type Scope } from '../../schemas/scope.ts'
import type { Cluster } from '../cluster/cluster.ts'
import type { Hub } from '../delivery/hub.ts'
import { Listening } from '../delivery/matching/endpoint-index.ts'
import { typeOfEventsOn } from '../registry/topics/topic-names.ts'

export interface ListenerCountOptions {
  db: Kysely<Database>
  hub: Pick<Hub, 'subscriptionsTo'>
  peers: Pick<Cluster['peers'], 'nodes' | 'on' | 'ask'>
}

/** The listeners of topics, and how many nodes did not report theirs. */
export interface Listeners { listeners: Deployment['listeners'], missing: number }

/** Counts the live subscriptions of all nodes, and the webhooks, that receive the events of topics. */
export function createListenerCount ({ db, hub, peers }: ListenerCountOptions) {
  peers.on('subscriptions', (_from, body) => {
    const [key = '', ...topics] = body.split('\n')
    const [applicationId = '', environment] = key.split('/')
    const scope = { applicationId, environment: environment as Environment }
    return topics.map(topic => hub.subscriptionsTo(scope, topic)).join(',')
  })

  /** Counts the live subscriptions of all nodes. Uses no connection of the pool. */
  async function subscriptions (scope: Scope, topics: readonly string[]) {
    const { answers, missing } = await peers.ask(
      peers.nodes, 'subscriptions', [scopeKey(scope), ...topics].join('\n')
    )
    const elsewhere = [...answers.values()].map(answer => answer.split(',').map(Number))
    return {
      listeners: topics.map((topic, i) => ({
        topic,
        subscriptions: elsewhere.reduce((sum, counts) => sum + (counts[i] ?? 0), hub.subscriptionsTo(scope, topic))
      })),
      missing
    }
  }

  return {
    subscriptions,

    async all (scope: Scope, topics: readonly string[]): Promise<Listeners> {
      const [{ listeners, missing }, webhooks] = await Promise.all([
        subscriptions(scope, topics), webhooksOf(db, scope.applicationId)
      ])
      return {
        listeners: listeners.map(one => ({
          ...one, webhooks: webhooks.filter(webhook => receives(webhook, scope.environment, one.topic)).length
        })),
        missing
      }
    }
  }
}
export type CountListeners = ReturnType<typeof createListenerCount>

async function webhooksOf (db: Kysely<Database>, applicationId: string): Promise<Listening[]> {
  const rows = await db.selectFrom('webhooks').select(['id', 'events', 'topics', 'filter', 'environments'])
    .where('application_id', '=', applicationId).where('active', '=', true).execute()
  return rows.map(row => new Listening(row))
}

/** Returns whether the webhook receives events that clients publish on the topic, or that mappings make of rows. */
const receives = (webhook: Listening, environment: Environment, topic: string): boolean =>
  webhook.isOf(environment) && webhook.takesIn(topic) &&
  (webhook.lists(typeOfEventsOn(topic)) || webhook.lists('database.event'))
