import { sql, type Kysely } from 'kysely'

/**
 * Adds a row for each lane with pending deliveries: for each webhook and ordering key. A node claims the row, and then
 * the first delivery of the lane. A trigger adds it with the delivery, also for nodes of an older version.
 *
 * Rows of several lanes are always locked in order, so that no two transactions wait for each other. `version` counts
 * the changes of the row. A lease changes no indexed column.
 */
export async function up (db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}

const statements = [
  `create table webhook_lanes (
    id bigint generated always as identity primary key,
    webhook_id text not null references webhooks on delete cascade,
    lane text not null,
    next_at bigint not null,
    lease_until bigint not null default 0,
    version int not null default 0,
    unique (webhook_id, lane)
  ) with (fillfactor = 50)`,
  'create index webhook_lanes_due on webhook_lanes (webhook_id, next_at)',
  `create function webhook_lanes_open () returns trigger language plpgsql as $$
    begin
      insert into webhook_lanes as l (webhook_id, lane, next_at)
        select webhook_id, lane, min(next_at) from made where lane is not null
        group by webhook_id, lane order by webhook_id, lane
        on conflict (webhook_id, lane) do update set
          next_at = least(l.next_at, excluded.next_at), version = l.version + 1;
      return null;
    end $$`,
  `create trigger webhook_lanes_open after insert on webhook_deliveries referencing new table as made
    for each statement execute function webhook_lanes_open()`,
  `insert into webhook_lanes (webhook_id, lane, next_at, lease_until)
    select distinct on (d.webhook_id, d.lane) d.webhook_id, d.lane, d.next_at, d.lease_until
    from webhook_deliveries d join webhooks w on w.id = d.webhook_id
    where d.state = 'pending' and d.lane is not null order by d.webhook_id, d.lane, d.position`
]
