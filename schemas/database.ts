import { Type, type Static } from '@sinclair/typebox'
import { Enum, EnvironmentName, EpochMs, Nullable, ref, Text } from './common.ts'
import { listFields, listShape, sortFields, TimeLimit } from './lists.ts'
import { TopicName } from './topics.ts'

export const operations = ['insert', 'update', 'delete'] as const
export type Operation = typeof operations[number]
const OperationName = Enum('RowOperation', operations, { examples: ['update'] })

const ColumnName = Text(63, { description: 'The name of a column, exactly as in the catalogue.', examples: ['status'] })
const examplePayload = { sessionId: '$row.id', status: '$row.status' }
const exampleCondition = { or: [{ changed: 'status' }, { changed: 'ended_at' }] }

const definition = {
  table: Text(300, {
    description:
      '`name` (in the schema `public`) or `schema.name`, exactly as in the catalogue; quote parts that contain a dot ' +
        'as in SQL.',
    examples: ['sessions']
  }),
  topic: TopicName,
  events: Type.Array(OperationName, {
    minItems: 1, maxItems: 3, uniqueItems: true, description: 'The operations that make events.',
    examples: [['insert', 'update']]
  }),
  triggerColumns: Type.Optional(
    Type.Array(ColumnName, {
      minItems: 1, maxItems: 100, uniqueItems: true,
      description: 'An update makes an event only if one of these columns changed.',
      examples: [['status', 'ended_at']]
    })
  ),
  payload: Type.Optional(
    Type.Unknown({
      description:
        'The payload of the events: any JSON. A string that begins with `$row.`, `$old.` or `$event.` stands for a ' +
          'value; `$$` at its start stands for `$`. If omitted, the payload is the whole row.',
      examples: [examplePayload]
    })
  ),
  when: Type.Optional(
    Type.Record(Type.String(), Type.Unknown(), {
      description:
        'The condition for an event. Operators: `changed`, `eq`, `ne`, `gt`, `gte`, `lt`, `lte`, `in`, `isNull`, ' +
          '`not`, `and`, `or`. Several operators in one object must all hold.',
      examples: [exampleCondition]
    })
  )
}

/** The rule of a mapping, without its ID, home and version. */
export const MappingDefinition = Type.Object(definition, { $id: 'MappingDefinition', additionalProperties: false })
export type MappingDefinition = Static<typeof MappingDefinition>

export const MappingCreate = Type.Object({
  ...definition,
  environment: Type.Optional(
    {
      ...EnvironmentName,
      description: 'The home environment. Default: the environment of the request.'
    } as typeof EnvironmentName
  )
}, { $id: 'MappingCreate', additionalProperties: false })
export type MappingCreate = Static<typeof MappingCreate>

export const MappingUpdate = Type.Object({
  table: Type.Optional(definition.table),
  topic: Type.Optional(definition.topic),
  events: Type.Optional(definition.events),
  triggerColumns: Type.Optional(
    Nullable(Type.Array(ColumnName, { minItems: 1, maxItems: 100, uniqueItems: true }), {
      description: 'Null removes it.', examples: [['status']]
    })
  ),
  payload: Type.Optional(
    Type.Unknown({ description: 'Null removes it: the payload is then the whole row.', examples: [examplePayload] })
  ),
  when: Type.Optional(
    Nullable(Type.Record(Type.String(), Type.Unknown()), {
      description: 'Null removes it.', examples: [exampleCondition]
    })
  )
}, {
  $id: 'MappingUpdate', additionalProperties: false, minProperties: 1, examples: [{ events: ['insert', 'update'] }]
})
export type MappingUpdate = Static<typeof MappingUpdate>

const MappingId = Type.String({ examples: ['map_123'] })

/** Problems of a table and of the publication that it is read through. */
const tableProblems = [
  'GENERATED_COLUMNS', 'UNLOGGED', 'FOREIGN_PARTITION', 'OPERATION_NOT_PUBLISHED', 'PARTITIONS_APART', 'ROW_FILTER',
  'COLUMN_LIST'
] as const
const problemCodes = [
  'REPLICA_IDENTITY',
  'TABLE_NOT_FOUND',
  'TABLE_IS_PARTITION',
  'COLUMN_NOT_FOUND',
  'TOPIC_NOT_FOUND',
  'NOT_PUBLISHED',
  ...tableProblems
] as const

export const MappingProblem = Type.Object({
  code: Enum('MappingProblemCode', problemCodes, { examples: ['REPLICA_IDENTITY'] }),
  message: Type.String({
    examples: ['The stream lacks the old values of public.sessions: each update of it counts as a change of status']
  }),
  sql: Type.Optional(
    Type.String({
      description: 'The statement that fixes it.', examples: ['ALTER TABLE "public"."sessions" REPLICA IDENTITY FULL;']
    })
  )
})
export type MappingProblem = Static<typeof MappingProblem>

export const Mapping = Type.Object({
  id: MappingId,
  table: Type.String({ examples: ['sessions'] }),
  topic: Type.String({ examples: ['session.status'] }),
  events: Type.Array(OperationName),
  triggerColumns: Type.Optional(Type.Array(Type.String({ examples: ['status'] }))),
  payload: Type.Optional(Type.Unknown({ examples: [examplePayload] })),
  when: Type.Optional(Type.Unknown({ examples: [exampleCondition] })),
  environment: {
    ...EnvironmentName,
    description: 'The home environment, which runs the working copy.'
  } as typeof EnvironmentName,
  version: Nullable(Type.Integer(), {
    description: 'The promoted version that this environment runs; null at home, which runs the working copy.',
    examples: [null]
  }),
  applicationId: Type.String({ examples: ['app_abc123'] }),
  createdAt: EpochMs('When the mapping was created.'),
  updatedAt: EpochMs('When the working copy was last changed.')
}, { $id: 'Mapping' })
export type Mapping = Static<typeof Mapping>

const problems = Type.Array(MappingProblem, {
  description:
    'The problems that keep the mapping from working in this environment or from reading old values, with the SQL ' +
      'that fixes them. Also empty if no database is connected or it cannot be reached now.'
})
export const MappingWithProblems = Type.Composite([Mapping, Type.Object({ problems })], { $id: 'MappingWithProblems' })
export type MappingWithProblems = Static<typeof MappingWithProblems>

export const MappingCheck = Type.Object({ problems }, { $id: 'MappingCheck' })
export type MappingCheck = Static<typeof MappingCheck>

export const MappingPath = Type.Object({
  id: Text(100, { description: 'The ID of the mapping.', examples: ['map_123'] })
})
export const mappingList = listShape('mappings', {
  sorts: ['createdAt', 'updatedAt', 'table', 'topic'], order: 'asc', search: ['id', 'table', 'topic']
})
const mappingFields = listFields(mappingList, 'sessions')
export const MappingPageQuery = Type.Object(mappingFields, { additionalProperties: false })
export type MappingPageQuery = Static<typeof MappingPageQuery>
export const MappingQuery = Type.Object({
  ...mappingFields,
  topic: Type.Optional(Text(300, { description: 'Only mappings to this topic.', examples: ['session.status'] })),
  table: Type.Optional(Text(300, { description: 'Only mappings of this table.', examples: ['sessions'] }))
}, { additionalProperties: false })
export type MappingQuery = Static<typeof MappingQuery>
export const MappingTopicPath = Type.Object({
  topic: Text(300, { description: 'The topic.', examples: ['session.status'] })
})

const MappingEnvironment = Type.Object({
  version: Nullable(Type.Integer(), {
    description: 'At home, the latest snapshot, or the version last rolled back to; elsewhere, the promoted version.',
    examples: [3]
  }),
  active: Type.Boolean({ description: 'Whether a subscription enables the mapping there.' })
})

export const MappingStatus = Type.Object({
  id: MappingId,
  table: Type.String({ examples: ['sessions'] }),
  topic: Type.String({ examples: ['session.status'] }),
  environment: EnvironmentName,
  changed: Type.Boolean({ description: 'Whether the working copy differs from its latest snapshot.' }),
  environments: Type.Partial(
    Type.Object({ development: MappingEnvironment, staging: MappingEnvironment, production: MappingEnvironment }),
    {
      description: 'A pinned token gets only its own environment.'
    }
  ),
  problems: Type.Array(MappingProblem, {
    description:
      'The problems that keep the mapping from working in this environment or from reading old values. Problems of ' +
        'the table are included only if the connected database can be reached.'
  })
}, { $id: 'MappingStatus' })
export type MappingStatus = Static<typeof MappingStatus>

export const MappingVersion = Type.Object({
  mappingId: MappingId,
  version: Type.Integer({ examples: [3] }),
  environment: { ...EnvironmentName, description: 'The environment of the snapshot.' } as typeof EnvironmentName,
  definition: ref(MappingDefinition),
  createdAt: EpochMs('When the snapshot was taken.')
}, { $id: 'MappingVersion' })
export type MappingVersion = Static<typeof MappingVersion>

export const mappingVersionList = listShape('versions', { sorts: ['version', 'createdAt'], order: 'desc' })
export const MappingVersionQuery = Type.Object(sortFields(mappingVersionList), { additionalProperties: false })
export type MappingVersionQuery = Static<typeof MappingVersionQuery>

export const EnvironmentBody = Type.Object({ environment: EnvironmentName }, {
  $id: 'EnvironmentBody', additionalProperties: false
})
export type EnvironmentBody = Static<typeof EnvironmentBody>

const VersionNumber = Type.Integer({ minimum: 1, maximum: 2147483647, examples: [1] })

export const PromoteBody = Type.Object({
  environment: {
    ...EnvironmentName,
    description: 'The source. Its latest version is copied to the next environment.'
  } as typeof EnvironmentName,
  expectedVersion: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 2147483647,
      description: 'The version that the target must run now, 0 for none. If it runs another, the answer is 409.'
    })
  )
}, { $id: 'PromoteBody', additionalProperties: false })
export type PromoteBody = Static<typeof PromoteBody>

export const PromoteQuery = Type.Object({
  dryRun: Type.Optional(
    Type.Boolean({ default: false, description: 'Returns the result of the promotion without promoting.' })
  )
}, { additionalProperties: false })

export const RollbackBody = Type.Object({ environment: EnvironmentName, version: VersionNumber }, {
  $id: 'RollbackBody', additionalProperties: false
})
export type RollbackBody = Static<typeof RollbackBody>

const CheckStatus = Enum('CheckStatus', ['ok', 'failed', 'warning'], { examples: ['ok'] })

const PromotionCheck = Type.Object({
  name: Enum('PromotionCheckName', ['topic', 'schema', 'table'], { examples: ['topic'] }),
  status: CheckStatus,
  message: Type.String({ examples: ['The topic session.status is registered in staging'] }),
  sql: Type.Optional(Type.String({ description: 'The statement that fixes it.' }))
})
export type PromotionCheck = Static<typeof PromotionCheck>

export const Promotion = Type.Object({
  mappingId: MappingId,
  dryRun: Type.Boolean(),
  version: Type.Integer({ description: 'The version to promote.', examples: [3] }),
  from: EnvironmentName,
  to: { ...EnvironmentName, examples: ['staging'] } as typeof EnvironmentName,
  previousVersion: Nullable(Type.Integer(), {
    description: 'The version that the target ran before; null for none.', examples: [2]
  }),
  diff: Type.Array(Type.Object({
    path: Type.String({ examples: ['/topic'] }), from: Type.Optional(Type.Unknown()), to: Type.Optional(Type.Unknown())
  }), { description: 'The differences to the version that the target runs, field by field.' }),
  checks: Type.Array(PromotionCheck)
}, { $id: 'Promotion' })
export type Promotion = Static<typeof Promotion>

const RowValues = Type.Record(Type.String(), Type.Unknown())

export const PreviewBody = Type.Object({
  mapping: Type.Optional(ref(MappingDefinition)),
  mappingId: Type.Optional(Text(100, { description: 'A stored mapping, instead of `mapping`.' })),
  operation: OperationName,
  row: { ...RowValues, description: 'The row; for a delete, the deleted row.' } as typeof RowValues,
  oldRow: Type.Optional(
    { ...RowValues, description: 'The row before the change. Without it, old values are unknown.' } as typeof RowValues
  )
}, {
  $id: 'PreviewBody',
  additionalProperties: false,
  examples: [{
    mapping: {
      table: 'sessions', topic: 'session.status', events: ['update'], payload: examplePayload,
      when: { changed: 'status' }
    },
    operation: 'update',
    row: { id: 's1', status: 'ended' },
    oldRow: { id: 's1', status: 'active' }
  }]
})
export type PreviewBody = Static<typeof PreviewBody>

export const Preview = Type.Object({
  matched: Type.Boolean(),
  reason: Type.String({ description: 'Why the mapping matches or not.', examples: ['The condition holds'] }),
  event: Type.Optional(Type.Object({
    topic: Type.String({ examples: ['session.status'] }),
    type: Type.Literal('database.event'),
    source: Type.Literal('database'),
    payload: Type.Unknown({ examples: [{ sessionId: 's1', status: 'ended' }] }),
    meta: Type.Record(Type.String(), Type.Unknown())
  }))
}, { $id: 'Preview' })
export type Preview = Static<typeof Preview>

export const DatabaseSubscription = Type.Object({
  id: Type.String({ examples: ['sub_123'] }),
  mappingId: MappingId,
  environment: EnvironmentName,
  active: Type.Boolean(),
  createdAt: EpochMs('When the subscription was created.')
}, { $id: 'DatabaseSubscription' })
export type DatabaseSubscription = Static<typeof DatabaseSubscription>

export const DatabaseSubscriptionWithProblems = Type.Composite([DatabaseSubscription, Type.Object({ problems })], {
  $id: 'DatabaseSubscriptionWithProblems'
})
export type DatabaseSubscriptionWithProblems = Static<typeof DatabaseSubscriptionWithProblems>

export const DatabaseSubscriptionCreate = Type.Object({ mappingId: Text(100, { examples: ['map_123'] }) }, {
  $id: 'DatabaseSubscriptionCreate', additionalProperties: false
})
export type DatabaseSubscriptionCreate = Static<typeof DatabaseSubscriptionCreate>

export const databaseSubscriptionList = listShape('subscriptions', {
  sorts: ['createdAt'], order: 'asc', search: ['id', 'mappingId']
})
export const DatabaseSubscriptionQuery = Type.Object({
  ...listFields(databaseSubscriptionList, 'map_1'),
  mappingId: Type.Optional(Text(100, { description: 'Only the subscription of this mapping.', examples: ['map_123'] })),
  active: Type.Optional(Type.Boolean({ description: 'Only active subscriptions, or only inactive ones.' }))
}, { additionalProperties: false })
export type DatabaseSubscriptionQuery = Static<typeof DatabaseSubscriptionQuery>

export const SubscriptionPath = Type.Object({
  subscriptionId: Text(100, { description: 'The ID of the subscription.', examples: ['sub_123'] })
})

export const deliveryStatuses = ['delivered', 'rejected', 'failed'] as const

export const DatabaseLog = Type.Object({
  id: Type.String({ examples: ['log_abc123'] }),
  mappingId: MappingId,
  subscriptionId: Type.String({ examples: ['sub_123'] }),
  status: Enum('DatabaseLogStatus', deliveryStatuses, {
    description: '`rejected`: the topic or its schema refused the events. `failed`: the mapping could not be applied.',
    examples: ['delivered']
  }),
  topic: Type.String({ examples: ['session.status'] }),
  table: Type.String({ examples: ['public.sessions'] }),
  events: Type.Integer({
    description:
      'The number of row changes of the transaction, or of a part of it, with this outcome; 0 when changes were lost ' +
        'and their number is unknown.',
    examples: [1]
  }),
  code: Nullable(Type.String(), { examples: ['SCHEMA_VIOLATED'] }),
  message: Nullable(Type.String(), {
    description: 'The reason for the first of the changes; null for callers who may not read the topic.',
    examples: ['The payload violates version 1 of the schema of session.status']
  }),
  lsn: Type.String({
    description: "The LSN of the transaction's commit, or the database's current LSN when a loss was noticed.",
    examples: ['16/B374D848']
  }),
  xid: Type.Integer({ examples: [4711] }),
  committedAt: EpochMs('When the transaction committed.'),
  createdAt: EpochMs('When the entry was stored.')
}, { $id: 'DatabaseLog' })
export type DatabaseLog = Static<typeof DatabaseLog>

export const databaseLogList = listShape('entries', {
  sorts: ['createdAt'], order: 'desc', search: ['topic', 'table', 'code']
})
export const DatabaseLogQuery = Type.Object({
  ...listFields(databaseLogList, 'sessions'),
  mappingId: Type.Optional(Text(100, { description: 'Only entries of this mapping.', examples: ['map_123'] })),
  subscriptionId: Type.Optional(
    Text(100, { description: 'Only entries of this subscription.', examples: ['sub_123'] })
  ),
  status: Type.Optional(
    Enum('DatabaseLogStatus', deliveryStatuses, {
      description: 'Only entries with this outcome.', examples: ['failed']
    })
  ),
  topic: Type.Optional(Text(300, { description: 'Only entries of this topic.', examples: ['session.status'] })),
  from: TimeLimit('Only entries stored at or after this time.'),
  to: TimeLimit('Only entries stored before this time.')
}, { additionalProperties: false })
export type DatabaseLogQuery = Static<typeof DatabaseLogQuery>

const ReplicationName = Type.String({
  pattern: '^[a-z0-9_]{1,63}$', minLength: 1, maxLength: 63, examples: ['realtime_cdc_slot_shop']
})

const ConnectionString = Type.String({
  minLength: 1,
  maxLength: 2000,
  pattern: '^postgres(ql)?://',
  description:
    '`postgres://user:password@host:port/database`, with `?sslmode=` if needed. A password is required; write ' +
      '`user:@host` for a user without one.',
  examples: ['postgres://realtime:secret@localhost:5432/shop']
})

export const DatabaseConnectionPut = Type.Object({
  connectionString: ConnectionString,
  publication: Type.Optional(
    {
      ...ReplicationName,
      description: 'The publication to read. Default: one that the platform creates.'
    } as typeof ReplicationName
  ),
  slot: Type.Optional(
    {
      ...ReplicationName,
      description:
        'The name of the replication slot. The platform creates the slot, and refuses one that another program has ' +
          'created.'
    } as typeof ReplicationName
  ),
  acceptGap: Type.Optional(
    Type.Boolean({
      description:
        'Starts again from now, with a new slot, and gives up all changes since the last position. Without it, a ' +
          'reader that has lost changes stays in the state `error`.'
    })
  )
}, { $id: 'DatabaseConnectionPut', additionalProperties: false })
export type DatabaseConnectionPut = Static<typeof DatabaseConnectionPut>

export const ConnectionState = Enum('ConnectionState', ['streaming', 'connecting', 'stopped', 'error'], {
  examples: ['streaming']
})
export type ConnectionState = Static<typeof ConnectionState>

export const Leftover = Type.Object({
  name: Enum('LeftoverKind', ['slot', 'publication']),
  status: Enum('LeftoverStatus', ['dropped', 'kept', 'failed'], {
    description: '`kept`: the platform did not create it, or another connection uses it. `failed`: cleanup is retried.'
  }),
  message: Type.String({ examples: ['The replication slot was dropped'] }),
  sql: Type.Optional(Type.String({ description: 'The statement that drops it by hand.' }))
})
export type Leftover = Static<typeof Leftover>

export const DatabaseConnection = Type.Object({
  connectionString: Type.String({
    description: 'The connection string without the password, which is never returned.',
    examples: ['postgres://realtime@localhost:5432/shop']
  }),
  publication: Type.String({ examples: ['realtime_cdc_slot_shop'] }),
  slot: Type.String({ examples: ['realtime_cdc_slot_shop'] }),
  environment: EnvironmentName,
  state: ConnectionState,
  since: EpochMs('When the connection entered this state.'),
  readerNode: Nullable(Type.String(), {
    description: 'The node of the platform that reads the database; null while none does.', examples: ['node_abc123']
  }),
  error: Nullable(Type.Object({
    code: Type.String({ examples: ['SOURCE_UNREACHABLE'] }),
    message: Type.String({ examples: ['The database cannot be reached, or is starting or stopping.'] }),
    at: EpochMs('When the error occurred.')
  }), { description: 'The last error; null while streaming.', examples: [null] }),
  lsn: Type.Object({
    server: Nullable(Type.String(), { description: "The database's current LSN.", examples: ['16/B374D848'] }),
    received: Nullable(Type.String(), { examples: ['16/B374D848'] }),
    stored: Nullable(Type.String(), {
      description: 'The commit whose events were last stored.', examples: ['16/B374D800']
    }),
    confirmed: Nullable(Type.String(), {
      description: 'The LSN up to which the slot was acknowledged.', examples: ['16/B374D848']
    })
  }),
  lagBytes: Nullable(Type.Integer(), {
    description: 'Bytes of WAL after the acknowledged LSN; null while not streaming.', examples: [0]
  }),
  lagMs: Nullable(Type.Integer(), {
    description:
      'The age of the oldest transaction that was received and is not stored; 0 when there is none, null while not ' +
        'streaming.',
    examples: [0]
  }),
  retainedWalBytes: Nullable(Type.Integer(), {
    description: 'Bytes of WAL that the slot keeps the database from removing.', examples: [1024]
  }),
  decodingSince: Nullable(Type.Integer(), {
    description:
      'Epoch milliseconds. Since when PostgreSQL has sent nothing because it decodes a large transaction with few or ' +
        'no published changes; null otherwise. `lsn.server` and `retainedWalBytes` stay current meanwhile.',
    examples: [null]
  }),
  leftovers: Type.Array(Leftover, {
    description:
      'Slots and publications that earlier connections of this scope created and that could not be dropped yet. A ' +
        'leftover slot keeps its database from removing WAL.',
    examples: [[]]
  }),
  createdAt: EpochMs('When the connection was created.'),
  updatedAt: EpochMs('When the connection was last updated.')
}, { $id: 'DatabaseConnection' })
export type DatabaseConnection = Static<typeof DatabaseConnection>

export const DatabaseDisconnected = Type.Object({
  connectionString: Type.String({ examples: ['postgres://realtime@localhost:5432/shop'] }),
  leftovers: Type.Array(Leftover, {
    description:
      'The outcome for the slot and the publication. A leftover slot keeps the database from removing WAL.'
  })
}, { $id: 'DatabaseDisconnected' })
export type DatabaseDisconnected = Static<typeof DatabaseDisconnected>

export const ConnectionTestBody = Type.Object({
  connectionString: Type.Optional(ConnectionString),
  publication: Type.Optional(ReplicationName),
  slot: Type.Optional(ReplicationName)
}, {
  $id: 'ConnectionTestBody',
  additionalProperties: false,
  description: 'The settings to test. Omitted ones are taken from the stored connection.',
  examples: [{ connectionString: 'postgres://realtime:secret@localhost:5432/shop' }]
})
export type ConnectionTestBody = Static<typeof ConnectionTestBody>

export const ConnectionCheck = Type.Object({
  name: Type.String({ examples: ['wal_level'] }),
  status: CheckStatus,
  message: Type.String({ examples: ['wal_level is replica; it must be logical'] }),
  sql: Type.Optional(
    Type.String({
      description: 'The statement that fixes it.',
      examples: ['ALTER SYSTEM SET wal_level = logical; -- then restart the server']
    })
  )
})
export type ConnectionCheck = Static<typeof ConnectionCheck>

export const ConnectionTest = Type.Object({
  ok: Type.Boolean({ description: 'True if no check failed.' }),
  checks: Type.Array(ConnectionCheck)
}, { $id: 'ConnectionTest' })
export type ConnectionTest = Static<typeof ConnectionTest>

export const DatabaseTable = Type.Object({
  schema: Type.String({ examples: ['public'] }),
  name: Type.String({ examples: ['sessions'] }),
  partitioned: Type.Boolean(),
  replicaIdentity: Enum('ReplicaIdentity', ['default', 'nothing', 'full', 'index'], {
    description:
      'With `full`, old values are available. For a partitioned table, the weakest identity among the table and its ' +
        'partitions.',
    examples: ['full']
  }),
  primaryKey: Type.Array(Type.String({ examples: ['id'] })),
  columns: Type.Array(Type.Object({
    name: Type.String({ examples: ['status'] }),
    type: Type.String({ examples: ['text'] }),
    nullable: Type.Boolean(),
    generated: Type.Boolean({
      description:
        'Whether the database computes the column. A stream has such a column from PostgreSQL 18 on, if it is stored.'
    })
  }))
}, { $id: 'DatabaseTable' })
export type DatabaseTable = Static<typeof DatabaseTable>

export const TableSampleQuery = Type.Object({
  table: Text(300, {
    description: 'The table, as a mapping names it: `name` or `schema.name`.', examples: ['sessions']
  }),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 20, default: 5, description: 'The number of rows.' }))
}, { additionalProperties: false })

export const TableSample = Type.Object({
  rows: Type.Array(Type.Record(Type.String(), Type.Unknown()), {
    description:
      'The latest rows by primary key, or any rows of a table without one. Values are as in events; texts of more ' +
        'than 2,000 characters are cut.',
    examples: [[{ id: 's1', status: 'active' }]]
  }),
  omitted: Type.Array(Type.String(), {
    description: 'Generated columns, which the stream does not have.', examples: [[]]
  })
}, { $id: 'TableSample' })
export type TableSample = Static<typeof TableSample>
