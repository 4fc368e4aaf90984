import { Type, type Static } from '@sinclair/typebox'
import { Enum, EnvironmentName, EpochMs, Nullable, Page, ref, Text } from './common.ts'
import { TopicName } from './topics.ts'

export const operations = ['insert', 'update', 'delete'] as const
export type Operation = typeof operations[number]
const OperationName = Enum('RowOperation', operations, { examples: ['update'] })

const ColumnName = Text(63, { description: 'A column, exactly as it is in the catalogue.', examples: ['status'] })
const examplePayload = { sessionId: '$row.id', status: '$row.status' }
const exampleCondition = { or: [{ changed: 'status' }, { changed: 'ended_at' }] }

const definition = {
  table: Text(300, {
    description:
      '`name` (in the schema `public`) or `schema.name`, exactly as in the catalogue; parts with a dot in them are ' +
        'quoted as in SQL.',
    examples: ['sessions']
  }),
  topic: TopicName,
  events: Type.Array(OperationName, {
    minItems: 1, maxItems: 3, uniqueItems: true, description: 'Which changes of rows count.',
    examples: [['insert', 'update']]
  }),
  triggerColumns: Type.Optional(
    Type.Array(ColumnName, {
      minItems: 1, maxItems: 100, uniqueItems: true, description: 'An update counts only if one of them changed.',
      examples: [['status', 'ended_at']]
    })
  ),
  payload: Type.Optional(
    Type.Unknown({
      description:
        'The payload: any JSON, in which strings that begin with `$row.`, `$old.` or `$event.` stand for values, ' +
          'and `$$` for one `$`. Absent: the whole row.',
      examples: [examplePayload]
    })
  ),
  when: Type.Optional(
    Type.Record(Type.String(), Type.Unknown(), {
      description:
        'The condition: `changed`, `eq`, `ne`, `gt`, `gte`, `lt`, `lte`, `in`, `isNull`, `not`, `and`, `or`; ' +
          'several in one object must all hold.',
      examples: [exampleCondition]
    })
  )
}

/** What a mapping says, without where it lives. */
export const MappingDefinition = Type.Object(definition, { $id: 'MappingDefinition', additionalProperties: false })
export type MappingDefinition = Static<typeof MappingDefinition>

export const MappingCreate = Type.Object({
  ...definition,
  environment: Type.Optional(
    {
      ...EnvironmentName,
      description: 'The home environment, if it is not that of the request.'
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
      description: 'Null takes it away.', examples: [['status']]
    })
  ),
  payload: Type.Optional(
    Type.Unknown({ description: 'Null takes it away: the whole row.', examples: [examplePayload] })
  ),
  when: Type.Optional(
    Nullable(Type.Record(Type.String(), Type.Unknown()), {
      description: 'Null takes it away.', examples: [exampleCondition]
    })
  )
}, {
  $id: 'MappingUpdate', additionalProperties: false, minProperties: 1, examples: [{ events: ['insert', 'update'] }]
})
export type MappingUpdate = Static<typeof MappingUpdate>

const MappingId = Type.String({ examples: ['map_123'] })

/** Of a table and the publication that it is read by. */
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
    examples: ['The old values of public.sessions cannot be seen: an update of it counts as a change of status']
  }),
  sql: Type.Optional(
    Type.String({
      description: 'The statement that mends it.', examples: ['ALTER TABLE "public"."sessions" REPLICA IDENTITY FULL;']
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
    description: 'Its home: the environment that runs the working copy.'
  } as typeof EnvironmentName,
  version: Nullable(Type.Integer(), {
    description: 'The promoted version that is shown and runs here; null at home, where the working copy is.',
    examples: [null]
  }),
  applicationId: Type.String({ examples: ['app_abc123'] }),
  createdAt: EpochMs('When it was created.'),
  updatedAt: EpochMs('When the working copy was last changed.')
}, { $id: 'Mapping' })
export type Mapping = Static<typeof Mapping>

const problems = Type.Array(MappingProblem, {
  description:
    'What keeps the mapping from working in this environment, or from seeing old values, with the SQL that helps. ' +
      'Empty also where no database is connected, or it cannot be queried now.'
})
export const MappingWithProblems = Type.Composite([Mapping, Type.Object({ problems })], { $id: 'MappingWithProblems' })
export type MappingWithProblems = Static<typeof MappingWithProblems>

export const MappingPath = Type.Object({ id: Text(100, { description: 'The mapping.', examples: ['map_123'] }) })
export const MappingQuery = Type.Object({
  ...Page,
  topic: Type.Optional(Text(300, { description: 'Mappings to this topic.', examples: ['session.status'] }))
}, { additionalProperties: false })
export const MappingTopicPath = Type.Object({
  topic: Text(300, { description: 'The topic.', examples: ['session.status'] })
})

const MappingEnvironment = Type.Object({
  version: Nullable(Type.Integer(), {
    description: 'At home, the snapshot last taken or put back; elsewhere, the version that was promoted.',
    examples: [3]
  }),
  active: Type.Boolean({ description: 'Whether a subscription has switched it on there.' })
})

export const MappingStatus = Type.Object({
  id: MappingId,
  table: Type.String({ examples: ['sessions'] }),
  topic: Type.String({ examples: ['session.status'] }),
  environment: EnvironmentName,
  changed: Type.Boolean({ description: 'Whether the working copy differs from the snapshot last taken of it.' }),
  environments: Type.Partial(
    Type.Object({ development: MappingEnvironment, staging: MappingEnvironment, production: MappingEnvironment }),
    {
      description: 'A token that is pinned to one environment sees that one.'
    }
  ),
  problems: Type.Array(MappingProblem, {
    description:
      'What keeps it from working in this environment, or from seeing what it wants to see, as far as the connected ' +
        'database can be asked.'
  })
}, { $id: 'MappingStatus' })
export type MappingStatus = Static<typeof MappingStatus>

export const MappingVersion = Type.Object({
  mappingId: MappingId,
  version: Type.Integer({ examples: [3] }),
  environment: { ...EnvironmentName, description: 'Where the snapshot was taken.' } as typeof EnvironmentName,
  definition: ref(MappingDefinition),
  createdAt: EpochMs('When the snapshot was taken.')
}, { $id: 'MappingVersion' })
export type MappingVersion = Static<typeof MappingVersion>

export const EnvironmentBody = Type.Object({ environment: EnvironmentName }, {
  $id: 'EnvironmentBody', additionalProperties: false
})
export type EnvironmentBody = Static<typeof EnvironmentBody>

const VersionNumber = Type.Integer({ minimum: 1, maximum: 2147483647, examples: [1] })

export const PromoteBody = Type.Object({
  environment: {
    ...EnvironmentName,
    description: 'The source: its latest version is copied into the next environment.'
  } as typeof EnvironmentName,
  expectedVersion: Type.Optional(
    Type.Integer({
      minimum: 0, maximum: 2147483647, description: 'What the target has to run now; 0 for nothing. Otherwise 409.'
    })
  )
}, { $id: 'PromoteBody', additionalProperties: false })
export type PromoteBody = Static<typeof PromoteBody>

export const PromoteQuery = Type.Object({
  dryRun: Type.Optional(Type.Boolean({ default: false, description: 'Answers what would happen; nothing does.' }))
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
  sql: Type.Optional(Type.String({ description: 'The statement that helps.' }))
})
export type PromotionCheck = Static<typeof PromotionCheck>

export const Promotion = Type.Object({
  mappingId: MappingId,
  dryRun: Type.Boolean(),
  version: Type.Integer({ description: 'The version that is promoted.', examples: [3] }),
  from: EnvironmentName,
  to: { ...EnvironmentName, examples: ['staging'] } as typeof EnvironmentName,
  previousVersion: Nullable(Type.Integer(), { description: 'What the target ran before.', examples: [2] }),
  diff: Type.Array(Type.Object({
    path: Type.String({ examples: ['/topic'] }), from: Type.Optional(Type.Unknown()), to: Type.Optional(Type.Unknown())
  }), { description: 'What differs from the version that the target runs, by field.' }),
  checks: Type.Array(PromotionCheck)
}, { $id: 'Promotion' })
export type Promotion = Static<typeof Promotion>

const RowValues = Type.Record(Type.String(), Type.Unknown())

export const PreviewBody = Type.Object({
  mapping: Type.Optional(ref(MappingDefinition)),
  mappingId: Type.Optional(Text(100, { description: 'Instead of `mapping`.' })),
  operation: OperationName,
  row: { ...RowValues, description: 'The row; of a delete, the deleted one.' } as typeof RowValues,
  oldRow: Type.Optional(
    { ...RowValues, description: 'The row before; without it, old values cannot be seen.' } as typeof RowValues
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
  reason: Type.String({ description: 'Why, or why not.', examples: ['The condition holds'] }),
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
  createdAt: EpochMs('When it was created.')
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

export const SubscriptionPath = Type.Object({
  subscriptionId: Text(100, { description: 'The subscription.', examples: ['sub_123'] })
})

export const deliveryStatuses = ['delivered', 'rejected', 'failed'] as const

export const DatabaseLog = Type.Object({
  id: Type.String({ examples: ['log_abc123'] }),
  mappingId: MappingId,
  subscriptionId: Type.String({ examples: ['sub_123'] }),
  status: Enum('DatabaseLogStatus', deliveryStatuses, {
    description: 'Rejected: by the topic or its schema. Failed: the mapping could not be applied.',
    examples: ['delivered']
  }),
  topic: Type.String({ examples: ['session.status'] }),
  table: Type.String({ examples: ['public.sessions'] }),
  events: Type.Integer({
    description:
      'Row changes of the transaction, or of a part of it, that this is about; 0 when nobody knows how many were lost.',
    examples: [1]
  }),
  code: Nullable(Type.String(), { examples: ['SCHEMA_VIOLATED'] }),
  message: Nullable(Type.String(), {
    description: 'About the first of them; null for whoever may not read the topic.',
    examples: ['The payload violates version 1 of the schema of session.status']
  }),
  lsn: Type.String({
    description: "Of the transaction's commit, or where the database was when a loss was noticed.",
    examples: ['16/B374D848']
  }),
  xid: Type.Integer({ examples: [4711] }),
  committedAt: EpochMs('When the transaction committed.'),
  createdAt: EpochMs('When it was dealt with.')
}, { $id: 'DatabaseLog' })
export type DatabaseLog = Static<typeof DatabaseLog>

export const DatabaseLogQuery = Type.Object({
  ...Page,
  mappingId: Type.Optional(Text(100, { description: 'Of this mapping.', examples: ['map_123'] })),
  subscriptionId: Type.Optional(Text(100, { description: 'Of this subscription.', examples: ['sub_123'] })),
  status: Type.Optional(
    Enum('DatabaseLogStatus', deliveryStatuses, { description: 'With this outcome.', examples: ['failed'] })
  )
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
    '`postgres://user:password@host:port/database`, with `?sslmode=` where it is needed. A password is required; ' +
      '`user:@host` has an empty one.',
  examples: ['postgres://realtime:secret@localhost:5432/shop']
})

export const DatabaseConnectionPut = Type.Object({
  connectionString: ConnectionString,
  publication: Type.Optional(
    { ...ReplicationName, description: 'The publication to read; left out, one of our own.' } as typeof ReplicationName
  ),
  slot: Type.Optional(
    {
      ...ReplicationName,
      description:
        'The name for the replication slot. The platform creates the slot; one that another program has created is ' +
          'refused.'
    } as typeof ReplicationName
  ),
  acceptGap: Type.Optional(
    Type.Boolean({
      description:
        'Starts anew from now, with a new slot: whatever changed since the last position is given up. Without it, a ' +
          'reader that has lost changes stands still in the state `error`.'
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
    description: 'Kept: it was there before us, or is used by another connection. Failed: it is tried again.'
  }),
  message: Type.String({ examples: ['The replication slot was dropped'] }),
  sql: Type.Optional(Type.String({ description: 'What drops it by hand.' }))
})
export type Leftover = Static<typeof Leftover>

export const DatabaseConnection = Type.Object({
  connectionString: Type.String({
    description: 'Without the password, which is write-only.',
    examples: ['postgres://realtime@localhost:5432/shop']
  }),
  publication: Type.String({ examples: ['realtime_cdc_slot_shop'] }),
  slot: Type.String({ examples: ['realtime_cdc_slot_shop'] }),
  environment: EnvironmentName,
  state: ConnectionState,
  since: EpochMs('Since when it is in that state.'),
  error: Nullable(Type.Object({
    code: Type.String({ examples: ['SOURCE_UNREACHABLE'] }),
    message: Type.String({ examples: ['The database cannot be reached, or is starting or stopping.'] }),
    at: EpochMs('When it happened.')
  }), { description: 'The last error; null once the stream runs.', examples: [null] }),
  lsn: Type.Object({
    server: Nullable(Type.String(), { description: 'Where the database writes.', examples: ['16/B374D848'] }),
    received: Nullable(Type.String(), { examples: ['16/B374D848'] }),
    stored: Nullable(Type.String(), {
      description: 'The commit whose events were stored last.', examples: ['16/B374D800']
    }),
    confirmed: Nullable(Type.String(), {
      description: 'Up to where the slot was acknowledged.', examples: ['16/B374D848']
    })
  }),
  lagBytes: Nullable(Type.Integer(), {
    description: 'WAL beyond what was acknowledged; null while it does not stream.', examples: [0]
  }),
  lagMs: Nullable(Type.Integer(), {
    description:
      'Age of the oldest transaction that was received and is not stored; 0 when there is none, null while it does ' +
        'not stream.',
    examples: [0]
  }),
  retainedWalBytes: Nullable(Type.Integer(), {
    description: 'What the slot keeps the database from removing.', examples: [1024]
  }),
  decodingSince: Nullable(Type.Integer(), {
    description:
      'Epoch milliseconds. Since when PostgreSQL has sent nothing because it decodes a large transaction of which ' +
        'little or nothing is published; null while it does not. `lsn.server` and `retainedWalBytes` go on meanwhile.',
    examples: [null]
  }),
  leftovers: Type.Array(Leftover, {
    description:
      'What was made where an earlier connection of this scope led, and could not be dropped yet. A slot that is ' +
        'left behind keeps its database from removing WAL.',
    examples: [[]]
  }),
  createdAt: EpochMs('When it was first set.'),
  updatedAt: EpochMs('When it was last set.')
}, { $id: 'DatabaseConnection' })
export type DatabaseConnection = Static<typeof DatabaseConnection>

export const DatabaseDisconnected = Type.Object({
  connectionString: Type.String({ examples: ['postgres://realtime@localhost:5432/shop'] }),
  leftovers: Type.Array(Leftover, {
    description:
      'What became of the slot and the publication. A slot that is left behind keeps the database from removing WAL.'
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
  description: 'What is to be tried; what is left out is as stored.',
  examples: [{ connectionString: 'postgres://realtime:secret@localhost:5432/shop' }]
})
export type ConnectionTestBody = Static<typeof ConnectionTestBody>

export const ConnectionCheck = Type.Object({
  name: Type.String({ examples: ['wal_level'] }),
  status: CheckStatus,
  message: Type.String({ examples: ['wal_level is replica; it has to be logical'] }),
  sql: Type.Optional(
    Type.String({
      description: 'The statement that mends it.',
      examples: ['ALTER SYSTEM SET wal_level = logical; -- then restart the server']
    })
  )
})
export type ConnectionCheck = Static<typeof ConnectionCheck>

export const ConnectionTest = Type.Object({
  ok: Type.Boolean({ description: 'Whether nothing has failed.' }),
  checks: Type.Array(ConnectionCheck)
}, { $id: 'ConnectionTest' })
export type ConnectionTest = Static<typeof ConnectionTest>

export const DatabaseTable = Type.Object({
  schema: Type.String({ examples: ['public'] }),
  name: Type.String({ examples: ['sessions'] }),
  partitioned: Type.Boolean(),
  replicaIdentity: Enum('ReplicaIdentity', ['default', 'nothing', 'full', 'index'], {
    description:
      "With `full`, old values can be seen. Of a partitioned table, the worst of its own and its partitions'.",
    examples: ['full']
  }),
  primaryKey: Type.Array(Type.String({ examples: ['id'] })),
  columns: Type.Array(Type.Object({
    name: Type.String({ examples: ['status'] }),
    type: Type.String({ examples: ['text'] }),
    nullable: Type.Boolean(),
    generated: Type.Boolean({
      description: 'Computed by the database; a stream has it from PostgreSQL 18 on, if it is stored.'
    })
  }))
}, { $id: 'DatabaseTable' })
export type DatabaseTable = Static<typeof DatabaseTable>
