import type pg from 'pg'
import { textArray } from '../../db/arrays.ts'
import { ConflictError } from '../errors.ts'
import type { Outcome } from './outcome.ts'
import type { Intent, PositionStep, StreamPlace } from './intent.ts'

/** Locks rows in the order of the array, which the caller has sorted. */
const stepSql = `
  with wanted as (
    select * from unnest($1::text[], $2::bigint[], $3::pg_lsn[], $4::bigint[], $5::pg_lsn[], $6::bigint[], $7::pg_lsn[])
      as k(connection_id, fence, from_lsn, from_index, to_lsn, to_index, confirmed_lsn)),
  held as (
    select p.connection_id from cdc_positions p join wanted k using (connection_id)
    where p.fence = k.fence and p.commit_lsn = k.from_lsn and p.change_index = k.from_index
    order by p.connection_id for update of p)
  update cdc_positions p set commit_lsn = k.to_lsn, change_index = k.to_index,
    confirmed_lsn = greatest(p.confirmed_lsn, k.confirmed_lsn)
  from wanted k join held using (connection_id) where p.connection_id = k.connection_id
  returning p.connection_id`

/** Consecutive steps of one stream in a batch, taken as one. */
interface Walk { first: PositionStep, last: PositionStep, intents: number[] }

const isSame = (a: StreamPlace, b: StreamPlace) => a.commitLsn === b.commitLsn && a.changeIndex === b.changeIndex

/**
 * Takes the steps of a batch within its transaction. Refuses each step that does not begin at the stream's stored
 * position, or whose lease has passed to another holder.
 */
export async function takeSteps (
  intents: readonly Intent<unknown>[], outcomes: (Outcome | undefined)[], client: pg.PoolClient
): Promise<void> {
  const walks = new Map<string, Walk>()
  for (const [i, { position }] of intents.entries()) {
    if (position === undefined || outcomes[i] !== undefined) continue
    const walk = walks.get(position.connectionId)
    if (walk === undefined) {
      walks.set(position.connectionId, { first: position, last: position, intents: [i] })
    } else if (walk.last.fence === position.fence && isSame(walk.last.to, position.from)) {
      walk.last = position
      walk.intents.push(i)
    } else {
      outcomes[i] = lost
    }
  }
  if (walks.size === 0) return
  const sorted = [...walks].sort(([a], [b]) => a < b ? -1 : 1)
  const steps = sorted.map(([, walk]) => walk)
  const { rows } = await client.query<{ connection_id: string }>({
    name: 'writer_take_steps',
    text: stepSql,
    values: [
      textArray(sorted.map(([id]) => id)),
      steps.map(({ first }) => first.fence),
      steps.map(({ first }) => first.from.commitLsn),
      steps.map(({ first }) => first.from.changeIndex),
      steps.map(({ last }) => last.to.commitLsn),
      steps.map(({ last }) => last.to.changeIndex),
      steps.map(({ last }) => last.confirmedLsn)
    ]
  })
  const taken = new Set(rows.map(row => row.connection_id))
  for (const [id, walk] of sorted) if (!taken.has(id)) for (const i of walk.intents) outcomes[i] = lost
}

const lost = {
  refusal: new ConflictError('CDC_POSITION_LOST', 'Another reader has advanced the position of this stream')
}
