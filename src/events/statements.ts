import { intArray, jsonArray, textArray } from '../../db/arrays.ts'
import type { Scope } from '../../schemas/scope.ts'
import type { EventDraft } from './envelope.ts'
import { factArrays, factsSql, type Facts } from './facts.ts'
import type { DocumentKey, DocumentState, Statement } from './intent.ts'
import type { TopicKey } from './topic-key.ts'

/*
 * The writer's statements. Each handles a whole batch with array parameters, so that its text and its prepared plan do
 * not depend on the size of the batch. Statements lock rows in the order of their arrays, which the caller has sorted,
 * so that two nodes do not deadlock.
 */

export type ScopedDocumentKey = DocumentKey & { scope: Scope }

/** Larger data is not read with the lock but by `readData`. */
const smallDataBytes = 16 * 1024

/** Locks documents and reads them. For large documents, `data` is null and only the size is read. */
export function lockDocuments (keys: ScopedDocumentKey[]): Statement {
  return {
    name: 'writer_lock_documents',
    text:
      `select d.application_id, d.environment, d.service, d.id, d.revision,
        case when octet_length(d.data::text) <= ${smallDataBytes} then d.data end as data,
        octet_length(d.data::text) as bytes, d.deleted, d.expires_at, d.created_at, d.updated_at
      from unnest($1::text[], $2::text[], $3::text[], $4::text[]) as k(application_id, environment, service, id)
      join documents d using (application_id, environment, service, id)
      order by d.application_id, d.environment, d.service, d.id for update of d`,
    values: documentKeyArrays(keys)
  }
}

/** Reads the data of locked documents. */
export function readData (keys: ScopedDocumentKey[]): Statement {
  return {
    name: 'writer_read_data',
    text: `select k.ordinal::int, d.data
      from unnest($1::text[], $2::text[], $3::text[], $4::text[])
        with ordinality as k(application_id, environment, service, id, ordinal)
      join documents d using (application_id, environment, service, id)`,
    values: documentKeyArrays(keys)
  }
}

const documentKeyArrays = (keys: ScopedDocumentKey[]) => [
  textArray(keys.map(key => key.scope.applicationId)),
  textArray(keys.map(key => key.scope.environment)),
  textArray(keys.map(key => key.service)),
  textArray(keys.map(key => key.id))
]

export function readTopics (keys: TopicKey[]): Statement {
  return {
    name: 'writer_read_topics',
    text: `select k.ordinal, t.active_schema_version
      from unnest($1::text[], $2::text[], $3::text[]) with ordinality as k(application_id, environment, name, ordinal)
      join topics t using (application_id, environment, name)`,
    values: [
      textArray(keys.map(key => key.scope.applicationId)),
      textArray(keys.map(key => key.scope.environment)),
      textArray(keys.map(key => key.topic))
    ]
  }
}

export interface IdempotencyKey { scope: Scope, key: string, fingerprint: Buffer }

export function readIdempotencyKeys (keys: IdempotencyKey[], notBefore: number): Statement {
  return {
    name: 'writer_read_idempotency_keys',
    text: `select k.ordinal, i.fingerprint, i.answer
      from unnest($1::text[], $2::text[], $3::text[]) with ordinality as k(application_id, environment, key, ordinal)
      join idempotency_keys i using (application_id, environment, key) where i.created_at >= $4`,
    values: [
      textArray(keys.map(key => key.scope.applicationId)), textArray(keys.map(key => key.scope.environment)),
      textArray(keys.map(key => key.key)), notBefore
    ]
  }
}

/** Returns one row for each key that it inserted. A missing key was taken by another node meanwhile. */
export function insertIdempotencyKeys (
  keys: (IdempotencyKey & { answer: string })[], now: number, notBefore: number
): Statement {
  return {
    name: 'writer_insert_idempotency_keys',
    text: `insert into idempotency_keys as i (application_id, environment, key, fingerprint, answer, created_at)
      select application_id, environment, key, decode(fingerprint, 'hex'), answer, $6
      from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::json[])
        as k(application_id, environment, key, fingerprint, answer)
      on conflict (application_id, environment, key) do update
        set fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = excluded.created_at
        where i.created_at < $7
      returning 1`,
    values: [
      textArray(keys.map(key => key.scope.applicationId)),
      textArray(keys.map(key => key.scope.environment)),
      textArray(keys.map(key => key.key)),
      textArray(keys.map(key => key.fingerprint.toString('hex'))),
      jsonArray(keys.map(key => key.answer)),
      now,
      notBefore
    ]
  }
}

export function insertServices (services: { applicationId: string, name: string }[], now: number): Statement {
  return {
    name: 'writer_insert_services',
    text: `insert into services (application_id, name, created_at, updated_at)
      select application_id, name, $3, $3 from unnest($1::text[], $2::text[]) as k(application_id, name)
      on conflict do nothing`,
    values: [
      textArray(services.map(service => service.applicationId)), textArray(services.map(service => service.name)), now
    ]
  }
}

export type ScopedDocument = DocumentState & { scope: Scope }

/** A log that the batch appends to, and the number of events. */
export interface LogGrowth extends TopicKey { count: number, epoch: string }

/**
 * One event, with its log as an index into the growths, and the number of events of this batch that follow it there.
 */
export interface PlacedDraft { draft: EventDraft, id: string, log: number, back: number }

/** The events of one log that are owed to one webhook. */
export interface Owed { webhookId: string, log: number, backs: number[] }

export interface WriteSet {
  now: number
  /** Documents whose rows exist and are locked by this transaction. */
  updates: ScopedDocument[]
  /** Documents that have no row yet. */
  inserts: ScopedDocument[]
  logs: LogGrowth[]
  events: PlacedDraft[]
  owed: Owed[]
  /** The write compares these with the database, and writes nothing if one differs. */
  facts?: Facts | undefined
}

/** One row of the write's result, for one log. */
export interface WrittenLog {
  ordinal: number
  epoch: string
  head_offset: number
  /** The time of the batch's events. */
  head_at: number
  inserted: number
}

/**
 * Writes documents, offset counters, events and outbox rows in one statement. Returns each log's new head and the
 * number of inserted documents: if it is too low, another node has created one of them meanwhile. Returns no row if one
 * of the facts has changed.
 *
 * The time of an event is that of the batch or, if later, that of the log's last event: the clocks of nodes differ, and
 * a batch may wait for the lock of its log. So the times of a log never decrease, and a search by time can be one by
 * offset (time-search.ts).
 */
export function write (set: WriteSet): Statement {
  const shape = `${set.updates.length > 0 ? 'u' : ''}${set.inserts.length > 0 ? 'i' : ''}${
    set.owed.length > 0 ? 'o' : ''
  }${set.facts === undefined ? '' : 'f'}`
  const values: unknown[] = [...logArrays(set.logs), ...eventColumns(set.events), set.now]
  if (set.facts !== undefined) values.push(...factArrays(set.facts))
  if (set.updates.length > 0) values.push(...documentArrays(set.updates))
  if (set.inserts.length > 0) values.push(...documentArrays(set.inserts))
  if (set.owed.length > 0) values.push(...owedArrays(set.owed))
  return { name: `writer_write_${shape}`, text: writeText(shape), values }
}

const writeTexts = new Map<string, string>()

function writeText (shape: string): string {
  let text = writeTexts.get(shape)
  if (text === undefined) {
    let parameter = 22
    const documents = () => {
      const types = ['text', 'text', 'text', 'text', 'bigint', 'json', 'boolean', 'bigint', 'bigint', 'bigint']
      return `unnest(${types.map(type => `$${parameter++}::${type}[]`).join(', ')})
        as k(application_id, environment, service, id, revision, data, deleted, expires_at, created_at, updated_at)`
    }
    text = 'with '
    const isCurrent = shape.includes('f') ? 'exists (select from current)' : 'true'
    if (shape.includes('f')) {
      const types = ['text', 'text', 'text', 'int', 'text', 'bigint'].map(type => `$${parameter++}::${type}[]`)
      text += `current as (
        select 1 where ${factsSql(types.slice(0, 4).join(', '), types.slice(4).join(', '))}), `
    }
    if (shape.includes('u')) {
      text += `updated as (
        update documents d set revision = k.revision, data = k.data, deleted = k.deleted, expires_at = k.expires_at,
          created_at = k.created_at, updated_at = k.updated_at
        from ${documents()}
        where d.application_id = k.application_id and d.environment = k.environment and d.service = k.service
          and d.id = k.id and ${isCurrent}), `
    }
    if (shape.includes('i')) {
      text += `inserted as (
        insert into documents (
          application_id, environment, service, id, revision, data, deleted, expires_at, created_at, updated_at)
        select * from ${documents()} where ${isCurrent} on conflict do nothing returning 1), `
    }
    // The row's id is assigned while its log is locked, so that within a log ids follow the order of commits.
    const owed = !shape.includes('o')
      ? ''
      : `, owed as (
        insert into webhook_outbox (webhook_id, log_id, head, backs, created_at)
        select o.webhook_id, l.id, l.head_offset, o.backs::int[], l.head_at
        from unnest($${parameter++}::text[], $${parameter++}::int[], $${parameter++}::text[])
          as o(webhook_id, log, backs)
        join logs l on l.ordinal = o.log)`
    text += `heads as (
        insert into topic_logs as l (application_id, environment, topic, epoch, head_offset, head_at)
        select *, $21::bigint from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[])
        where ${isCurrent}
        on conflict (application_id, environment, topic) do update set
          head_offset = l.head_offset + excluded.head_offset, head_at = greatest(l.head_at, excluded.head_at)
        returning l.id, l.application_id, l.environment, l.topic, l.epoch, l.head_offset, l.head_at),
      logs as (
        select heads.*, k.ordinal from heads
        join unnest($1::text[], $2::text[], $3::text[])
          with ordinality as k(application_id, environment, topic, ordinal)
        using (application_id, environment, topic)),
      written as (
        insert into events (
          log_id, "offset", application_id, environment, topic, id, type, source, key, payload, diff, meta,
          schema_version, created_at)
        select l.id, l.head_offset - e.back, l.application_id, l.environment, l.topic, e.id, coalesce(e.type, $16),
          coalesce(e.source, $17), coalesce(e.key, $18), e.payload, e.diff, coalesce(e.meta, $19::json),
          coalesce(e.schema_version, $20::int), l.head_at
        from unnest(
          $6::int[], $7::int[], $8::text[], $9::text[], $10::text[], $11::text[], $12::json[], $13::json[],
          $14::json[], $15::int[])
          as e(log, back, id, type, source, key, payload, diff, meta, schema_version)
        join logs l on l.ordinal = e.log)${owed}
      select ordinal::int, epoch, head_offset, head_at, ${
      shape.includes('i') ? '(select count(*) from inserted)' : '0'
    } as inserted from logs`
    writeTexts.set(shape, text)
  }
  return text
}

const logArrays = (logs: LogGrowth[]) => [
  textArray(logs.map(log => log.scope.applicationId)), textArray(logs.map(log => log.scope.environment)),
  textArray(logs.map(log => log.topic)), textArray(logs.map(log => log.epoch)),
  intArray(logs.map(log => log.count))
]

/**
 * The columns of events as arrays, and then one value for each column that is often the same for all of them. Such a
 * column's array is empty: `unnest` fills it with nulls, which the value replaces.
 */
function eventColumns (events: PlacedDraft[]): unknown[] {
  const type = columnOf(events.map(({ draft }) => draft.type))
  const source = columnOf(events.map(({ draft }) => draft.source))
  const key = columnOf(events.map(({ draft }) => draft.key))
  const meta = columnOf(events.map(({ draft }) => draft.meta ?? null))
  const schemaVersion = columnOf(events.map(({ draft }) => draft.schemaVersion))
  const diffs = events.some(({ draft }) => draft.diff !== undefined) ? events.map(({ draft }) => draft.diff) : []
  return [
    intArray(events.map(event => event.log + 1)),
    intArray(events.map(event => event.back)),
    textArray(events.map(event => event.id)),
    textArray(type.values),
    textArray(source.values),
    textArray(key.values),
    jsonArray(events.map(event => event.draft.payload)),
    jsonArray(diffs),
    jsonArray(meta.values),
    intArray(schemaVersion.values),
    ...[type, source, key, meta, schemaVersion].map(column => column.all)
  ]
}

/** Returns the values of a column, or the value that all of them have. */
function columnOf<Value> (values: Value[]): { values: Value[], all: Value | null } {
  const [first = null] = values
  return values.every(value => value === first) ? { values: [], all: first } : { values, all: null }
}

const documentArrays = (documents: ScopedDocument[]) => [
  ...documentKeyArrays(documents),
  documents.map(document => document.revision),
  jsonArray(documents.map(document => document.dataText)),
  documents.map(document => document.deleted),
  documents.map(document => document.expiresAt),
  documents.map(document => document.createdAt),
  documents.map(document => document.updatedAt)
]

const owedArrays = (owed: Owed[]) => [
  textArray(owed.map(({ webhookId }) => webhookId)),
  intArray(owed.map(({ log }) => log + 1)),
  textArray(owed.map(({ backs }) => intArray(backs)))
]
