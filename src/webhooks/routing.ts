import { LRUCache } from 'lru-cache'
import type pg from 'pg'
import type { EventRouting, RecalledRecipients, Recipients } from '../events/event-routing.ts'
import type { EventDraft } from '../events/envelope.ts'
import type { Scope } from '../../schemas/scope.ts'
import { EndpointIndex, type ListeningRow } from '../delivery/matching/endpoint-index.ts'

/** Applications whose webhooks stay in memory. */
const applicationsMax = 5000

const versionsSql = 'select application_id, version from webhook_versions where application_id = any($1::text[])'

/** Reads versions and webhooks from one snapshot. */
const loadSql = `
  select v.application_id, v.version, w.id, w.events, w.topics, w.filter, w.environments
  from webhook_versions v left join webhooks w on w.application_id = v.application_id and w.active
  where v.application_id = any($1::text[])`

/** The webhooks of an application. Without a version, it never had any. */
interface Known { version: number | null, match?: EndpointIndex | undefined }

/**
 * Finds the webhooks that match the events of a batch, as a stage of the writer. It caches webhooks by application.
 * Each batch reads the applications' versions, which every change to a webhook increments, or has its write compare
 * them. A webhook acknowledged before an event was submitted is therefore never missed, whichever node created it.
 */
export class WebhookRouting implements EventRouting {
  readonly #known = new LRUCache<string, Known>({ max: applicationsMax })
  #onCommitted: () => void = () => {}

  /** Sets the listener that runs after each commit that created deliveries. */
  onCommitted (listener: () => void): void {
    this.#onCommitted = listener
  }

  committed (): void {
    this.#onCommitted()
  }

  async prepare (applicationIds: ReadonlySet<string>, client: pg.PoolClient): Promise<Recipients | undefined> {
    const { rows } = await client.query<{ application_id: string, version: number }>({
      name: 'webhooks_versions', text: versionsSql, values: [[...applicationIds]]
    })
    // Keeps its own references, because the cache may evict an application while others are loaded.
    const read = new Map<string, Known>([...applicationIds].map(id => [id, { version: null }]))
    const stale: string[] = []
    for (const { application_id: id, version } of rows) {
      const known = this.#known.get(id)
      if (known?.version === version) read.set(id, known)
      else stale.push(id)
    }
    if (stale.length > 0) for (const [id, known] of await load(client, stale)) read.set(id, known)
    for (const [id, known] of read) this.#known.set(id, known)
    return matchesOf(read)
  }

  recall (applicationIds: ReadonlySet<string>): RecalledRecipients | undefined {
    const recalled = new Map<string, Known>()
    for (const id of applicationIds) {
      const known = this.#known.get(id)
      if (known === undefined) return undefined
      recalled.set(id, known)
    }
    return {
      recipients: matchesOf(recalled),
      facts: [...recalled].map(([applicationId, { version }]) => ({ applicationId, version }))
    }
  }
}

function matchesOf (known: ReadonlyMap<string, Known>): Matches | undefined {
  const matches = new Map<string, EndpointIndex>()
  for (const [id, { match }] of known) if (match !== undefined && !match.isEmpty) matches.set(id, match)
  return matches.size === 0 ? undefined : new Matches(matches)
}

class Matches implements Recipients {
  readonly #byApplication: Map<string, EndpointIndex>

  constructor (byApplication: Map<string, EndpointIndex>) {
    this.#byApplication = byApplication
  }

  of (scope: Scope, draft: EventDraft, visit: (webhookId: string) => void): void {
    this.#byApplication.get(scope.applicationId)?.match(scope, draft, visit)
  }
}

async function load (client: pg.PoolClient, applicationIds: string[]): Promise<Map<string, Known>> {
  const { rows } = await client.query<ListeningRow & { application_id: string, version: number, id: string | null }>({
    name: 'webhooks_load', text: loadSql, values: [applicationIds]
  })
  const found = new Map<string, { version: number, rows: ListeningRow[] }>()
  for (const { application_id: applicationId, version, ...row } of rows) {
    const application = found.get(applicationId) ?? { version, rows: [] }
    found.set(applicationId, application)
    if (row.id !== null) application.rows.push(row)
  }
  return new Map([...found].map(([id, { version, rows }]) => [id, { version, match: new EndpointIndex(rows) }]))
}
