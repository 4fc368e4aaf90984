import type pg from 'pg'
import { textArray } from '../../db/arrays.ts'

/** A node without a heartbeat for this long counts as dead: its sockets are gone. */
const nodeGoneMs = 10_000
/** Rows of dead nodes are deleted after this time. */
const forgottenMs = 60_000
/** A demand is written again when it has changed by more than this part. */
const demandSlack = 0.1

/** The open sockets and subscriptions of an application at one node, and the events per second requested of it. */
export interface NodeCounts { sockets: number, subscriptions: number, demand: number }

/** The sums over the other nodes, and what all nodes have stored; undefined if it was not read. */
export interface Elsewhere extends NodeCounts { stored: { bytes: number, documents: number | null } | undefined }

const beatSql = `
  with beat as (
    insert into quota_nodes (id, seen_at) values ($1, clock_timestamp())
    on conflict (id) do update set seen_at = excluded.seen_at returning (xmax = 0) as "isNew"),
  given as (
    select * from unnest($2::text[], $3::int[], $4::int[], $5::float8[])
      as g(application_id, sockets, subscriptions, demand)),
  ended as (
    delete from quota_node_counts c using given g
    where c.node_id = $1 and c.application_id = g.application_id and g.sockets = 0 and g.subscriptions = 0
      and g.demand = 0),
  stored as (
    insert into quota_node_counts as c (node_id, application_id, sockets, subscriptions, publishes_per_second)
    select $1, application_id, sockets, subscriptions, demand from given
    where sockets > 0 or subscriptions > 0 or demand > 0
    on conflict (application_id, node_id) do update set sockets = excluded.sockets,
      subscriptions = excluded.subscriptions, publishes_per_second = excluded.publishes_per_second)
  select "isNew" from beat`

const readSql = `
  with others as materialized (
    select id from quota_nodes
    where id <> $1 and seen_at > clock_timestamp() - ${nodeGoneMs} * interval '1 millisecond'),
  open as (
    select application_id, sum(sockets)::int as sockets, sum(subscriptions)::int as subscriptions,
      sum(publishes_per_second) as demand
    from quota_node_counts where node_id in (select id from others) group by 1)
  select k.application_id, (select count(*)::int from others) as nodes, coalesce(o.sockets, 0) as sockets,
    coalesce(o.subscriptions, 0) as subscriptions, coalesce(o.demand, 0) as demand,
    case when k.is_active then coalesce((
      select sum(bytes) from application_bytes b where b.application_id = k.application_id), 0) end as bytes,
    case when k.is_active then (
      select documents from application_documents d where d.application_id = k.application_id) end as documents
  from unnest($2::text[], $3::bool[]) as k(application_id, is_active) left join open o using (application_id)`

interface ReadRow {
  application_id: string
  nodes: number
  sockets: number
  subscriptions: number
  demand: number
  bytes: number | null
  documents: number | null
}

/**
 * Exchanges with the other nodes what each has open, through the database. A node writes only what has changed, and
 * reads only the applications that it asks for.
 */
export class Exchange {
  readonly #pool: pg.Pool
  readonly #node: string
  #written = new Map<string, NodeCounts>()

  constructor ({ pool, node }: { pool: pg.Pool, node: string }) {
    this.#pool = pool
    this.#node = node
  }

  /** Writes the counts of this node, with its heartbeat. */
  async write (counts: ReadonlyMap<string, NodeCounts>): Promise<void> {
    const changed = [...counts].filter(([id, next]) => isChanged(this.#written.get(id), next))
    const ended = [...this.#written.keys()].filter(id => !counts.has(id)).map(id => [id, none] as const)
    const { rows: [row] } = await this.#beat([...changed, ...ended])
    // Other nodes have deleted the rows of this node, because it was silent for long.
    if (row?.isNew === true && this.#written.size > 0) await this.#beat([...counts])
    this.#written = new Map([...counts].map(([id, next]) => {
      const before = this.#written.get(id)
      return [id, before !== undefined && !isChanged(before, next) ? before : next]
    }))
  }

  /** Returns the number of other nodes and the sums of each application, with what it has stored if that is true. */
  async read (applications: ReadonlyMap<string, boolean>): Promise<{ nodes: number, of: Map<string, Elsewhere> }> {
    const { rows } = await this.#pool.query<ReadRow>({
      name: 'quotas_read',
      text: readSql,
      values: [this.#node, textArray([...applications.keys()]), [...applications.values()]]
    })
    return {
      nodes: rows[0]?.nodes ?? 0,
      of: new Map(rows.map(({ application_id: id, nodes, bytes, documents, ...sums }) =>
        [id, { ...sums, stored: bytes === null ? undefined : { bytes, documents } }]
      ))
    }
  }

  /** Deletes the rows of nodes that ended without doing so. */
  async forgetDead (): Promise<void> {
    await this.#pool.query(
      `delete from quota_nodes where seen_at < clock_timestamp() - ${forgottenMs} * interval '1 millisecond'`
    )
  }

  /** Deletes the rows of this node, when it stops. */
  async leave (): Promise<void> {
    await this.#pool.query('delete from quota_nodes where id = $1', [this.#node])
  }

  #beat (counts: (readonly [string, NodeCounts])[]) {
    return this.#pool.query<{ isNew: boolean }>({
      name: 'quotas_beat',
      text: beatSql,
      values: [
        this.#node, textArray(counts.map(([id]) => id)), counts.map(([, { sockets }]) => sockets),
        counts.map(([, { subscriptions }]) => subscriptions), counts.map(([, { demand }]) => demand)
      ]
    })
  }
}

const none: NodeCounts = { sockets: 0, subscriptions: 0, demand: 0 }

const isChanged = (before: NodeCounts | undefined, next: NodeCounts): boolean =>
  before === undefined || before.sockets !== next.sockets || before.subscriptions !== next.subscriptions ||
  Math.abs(before.demand - next.demand) > before.demand * demandSlack
