/*
 * A lane is the pending deliveries of one webhook with the same ordering key. Its row in `webhook_lanes` is what a node
 * claims. The trigger of migration 0034 adds it with the first delivery. These parts of statements lock lanes in order.
 */

/** Opens the lanes of deliveries that became pending again, which the expression `moved` names. */
export const openLanesSql = `
  insert into webhook_lanes as l (webhook_id, lane, next_at)
    select m.webhook_id, m.lane, min(m.next_at) from moved m
    cross join lateral (select from webhooks where id = m.webhook_id for key share) still
    where m.lane is not null group by m.webhook_id, m.lane order by m.webhook_id, m.lane
    on conflict (webhook_id, lane) do update set next_at = least(l.next_at, excluded.next_at), version = l.version + 1`

/** Locks the lanes of the deliveries that the expression names, and returns them with what it returns of each. */
export const lockLanesSql = (from: string) => `
  select o.*, l.id, l.version from (select * from ${from} where lane is not null order by webhook_id, lane) o
  cross join lateral (
    select id, version from webhook_lanes where webhook_id = o.webhook_id and lane = o.lane for update) l`
