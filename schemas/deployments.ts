import { Type, type Static } from '@sinclair/typebox'
import { Enum, EnvironmentName, EpochMs, Nullable, ref, Text } from './common.ts'
import { listFields, listShape } from './lists.ts'
import { CompatibilityVerdict } from './schema-registry.ts'

export const deploymentStatuses = ['open', 'approved', 'applied', 'rolled_back', 'rejected'] as const
export type DeploymentStatus = typeof deploymentStatuses[number]
export const deploymentItemsMax = 50

const Status = Enum('DeploymentStatus', deploymentStatuses, {
  description:
    '`open` and `approved` deployments can be applied, if their checks pass. `rejected` and `rolled_back` are final.',
  examples: ['open']
})
const Kind = Enum('DeploymentItemKind', ['topic', 'schema', 'mapping'], { examples: ['schema'] })
const Version = Type.Integer({ minimum: 1, maximum: 2147483647, examples: [1] })
const Id = Type.String({ examples: ['dep_abc123'] })
const Target = {
  ...EnvironmentName, description: 'The environment after the source.', examples: ['staging']
} as typeof EnvironmentName
const Source = {
  ...EnvironmentName,
  description: 'The environment that the items come from: development or staging. They go to the next one.'
} as typeof EnvironmentName
const Person = (description: string) => Nullable(Type.String({ examples: ['usr_abc123'] }), { description })

const ItemWanted = Type.Object({
  kind: Kind,
  name: Type.Optional(
    Type.String({
      minLength: 1, maxLength: 300, pattern: '^[a-z0-9]+(\\.[a-z0-9_-]+)*$',
      description: 'The topic. Required for the kinds `topic` and `schema`.', examples: ['session.status']
    })
  ),
  id: Type.Optional(
    Text(100, { description: 'The mapping. Required for the kind `mapping`.', examples: ['map_123'] })
  ),
  version: Type.Optional({
    ...Version,
    description:
      'The version in the source. Default for a schema: the active version, or else the latest. Default for a ' +
        'mapping: what the source runs; if that is not a version yet, it becomes one. Topics have no versions.'
  } as typeof Version)
}, { additionalProperties: false, examples: [{ kind: 'topic', name: 'session.status' }] })
export type DeploymentItemWanted = Static<typeof ItemWanted>

const Description = Type.String({
  maxLength: 4000, pattern: '^[^\\u0000]*$', examples: ['Adds the reason to the events of ended sessions']
})

export const DeploymentCreate = Type.Object({
  title: Text(200, { examples: ['Session reasons'] }),
  description: Type.Optional(Description),
  source: Source,
  items: Type.Array(ItemWanted, {
    minItems: 1,
    maxItems: deploymentItemsMax,
    description: 'The things to deploy, each at most once. The order does not matter.',
    examples: [[{ kind: 'topic', name: 'session.status' }, { kind: 'schema', name: 'session.status' }]]
  })
}, { $id: 'DeploymentCreate', additionalProperties: false })
export type DeploymentCreate = Static<typeof DeploymentCreate>

const Check = Type.Object({
  name: Enum(
    'DeploymentCheckName',
    ['topic', 'schema', 'compatibility', 'mapping', 'database', 'table', 'approval', 'rollback'],
    { examples: ['compatibility'] }
  ),
  ok: Type.Boolean({ description: 'Whether the check allows the deployment to be applied.' }),
  message: Type.String({ examples: ['The schema is backward compatible with version 2'] }),
  sql: Type.Optional(
    Type.String({
      description: 'The statement that fixes the problem, to be run in the connected database.',
      examples: ['ALTER TABLE "public"."sessions" REPLICA IDENTITY FULL;']
    })
  )
})
export type DeploymentCheck = Static<typeof Check>

const Diff = Type.Array(
  Type.Object({
    op: Enum('DeploymentDiffOp', ['add', 'remove', 'replace'], { examples: ['replace'] }),
    path: Type.String({ examples: ['/owner'] }),
    value: Type.Optional(Type.Unknown({ examples: ['platform-team'] }))
  }),
  {
    description:
      'A JSON Patch (RFC 6902) from what the target has to what it will have: the description and owner of a topic, ' +
        'the active schema, or the definition of a mapping. Empty if nothing changes. Of an applied deployment, the ' +
        'patch that was applied.'
  }
)

const Item = Type.Object({
  kind: Kind,
  name: Type.Optional(Type.String({ description: 'The topic.', examples: ['session.status'] })),
  id: Type.Optional(Type.String({ description: 'The mapping.', examples: ['map_123'] })),
  version: Nullable(Version, { description: 'The version in the source; null for a topic.' }),
  action: Enum('DeploymentAction', ['create', 'update', 'none'], {
    description: 'The effect that applying the deployment has, or has had, on the target.', examples: ['create']
  }),
  targetVersion: Nullable(Version, {
    description:
      'The version in the target. For a schema, this is another number than `version`: each environment counts its ' +
        'own versions. null for a topic, and once applied, for an item that has changed nothing.'
  }),
  diff: Diff,
  checks: Type.Array(Check, {
    description:
      'Checks against the present state of the target. Once the deployment is applied, the checks of its rollback.'
  }),
  compatibility: Type.Optional(ref(CompatibilityVerdict)),
  note: Type.Optional(
    Type.String({
      description: 'The reason why a rollback left the item in place.', examples: ['The topic was kept: it has events']
    })
  )
})
export type DeploymentItem = Static<typeof Item>

const Comment = Type.Object({
  id: Type.String({ examples: ['dco_abc123'] }),
  text: Type.String({ examples: ['Does the mobile app ignore unknown reasons?'] }),
  createdBy: Type.String({ examples: ['usr_abc123'] }),
  createdAt: EpochMs('When the comment was written.')
}, { $id: 'DeploymentComment' })
export const DeploymentComment = Comment
export type DeploymentComment = Static<typeof Comment>

const Approval = Type.Object({
  userId: Type.String({ description: 'The user who approved it.', examples: ['usr_abc123'] }),
  valid: Type.Boolean({
    description:
      'Whether the approval counts. It does not if the target has changed since, or if the user may no longer change ' +
        'deployments.'
  }),
  createdAt: EpochMs('When the user approved it.')
})

const summary = {
  id: Id,
  title: Type.String({ examples: ['Session reasons'] }),
  description: Description,
  source: EnvironmentName,
  target: Target,
  status: Status,
  applicationId: Type.String({ examples: ['app_abc123'] }),
  createdBy: Type.String({
    description: 'The author: a user, also if an API key of that user created it, or the bearer of a token.',
    examples: ['usr_abc123']
  }),
  createdWith: Enum('DeploymentCredential', ['session', 'api-key', 'token'], { examples: ['session'] }),
  createdAt: EpochMs('When it was created.'),
  updatedAt: EpochMs('When it was last changed.'),
  appliedBy: Person('Who applied it.'),
  appliedAt: Nullable(EpochMs('When it was applied.')),
  rolledBackBy: Person('Who rolled it back.'),
  rolledBackAt: Nullable(EpochMs('When it was rolled back.')),
  rejectedBy: Person('Who rejected it.'),
  rejectedAt: Nullable(EpochMs('When it was rejected.')),
  reason: Nullable(Type.String({ examples: ['Not before the release'] }), { description: 'Why it was rejected.' })
}

export const DeploymentSummary = Type.Object({
  ...summary,
  items: Type.Array(Type.Object({
    kind: Kind,
    name: Type.Optional(Type.String({ examples: ['session.status'] })),
    id: Type.Optional(Type.String({ examples: ['map_123'] })),
    version: Nullable(Version)
  }))
}, { $id: 'DeploymentSummary' })
export type DeploymentSummary = Static<typeof DeploymentSummary>

export const Deployment = Type.Object({
  ...summary,
  items: Type.Array(Item),
  digest: Type.Optional(
    Type.String({
      description:
        'Identifies the contents and what the target has of them now. Send it with an approval or an application ' +
          'that is meant for this state only. Absent once the deployment was applied.',
      examples: ['uVRzTjRfnbYTrwJBJVYcBjgDPuaeF5dVQKhnVMUIUhE']
    })
  ),
  ready: Type.Boolean({
    description:
      'Whether all checks pass: an open deployment can be applied, an applied one rolled back.'
  }),
  checks: Type.Array(Check, { description: 'Checks of the deployment as a whole: its approval.' }),
  approvals: Type.Array(Approval),
  comments: Type.Array(ref(Comment), { description: 'Oldest first.' }),
  listeners: Type.Array(
    Type.Object({
      topic: Type.String({ examples: ['session.status'] }),
      subscriptions: Type.Integer({ description: 'Live subscriptions of sockets, on all nodes.', examples: [12] }),
      webhooks: Type.Integer({ description: 'Active webhooks that its events are sent to.', examples: [1] })
    }),
    { description: 'Who listens to the affected topics in the target now.' }
  )
}, { $id: 'Deployment' })
export type Deployment = Static<typeof Deployment>

export const DigestQuery = Type.Object({
  digest: Type.Optional(
    Type.String({
      maxLength: 64, pattern: '^[A-Za-z0-9_-]+$',
      description: 'The `digest` of the deployment as you have seen it. If another one applies now, the answer is 409.',
      examples: ['uVRzTjRfnbYTrwJBJVYcBjgDPuaeF5dVQKhnVMUIUhE']
    })
  )
}, { additionalProperties: false })

export const DeploymentPath = Type.Object({
  id: Type.String({
    minLength: 5, maxLength: 64, pattern: '^dep_[A-Za-z0-9_-]+$', description: 'The deployment.',
    examples: ['dep_abc123']
  })
})

export const deploymentList = listShape('deployments', {
  sorts: ['createdAt', 'updatedAt', 'title'], order: 'desc', search: ['title', 'description']
})
export const DeploymentQuery = Type.Object({
  ...listFields(deploymentList, 'session'),
  status: Type.Optional(Status),
  source: Type.Optional(Source),
  target: Type.Optional(Target),
  createdBy: Type.Optional(Text(400, { description: 'Only those of this author.', examples: ['usr_abc123'] }))
}, { additionalProperties: false })
export type DeploymentQuery = Static<typeof DeploymentQuery>

export const CommentCreate = Type.Object({
  text: Text(4000, { examples: ['Does the mobile app ignore unknown reasons?'] })
}, { $id: 'DeploymentCommentCreate', additionalProperties: false })

export const DeploymentReject = Type.Object({
  reason: Text(2000, { description: 'Why it is rejected.', examples: ['Not before the release'] })
}, { $id: 'DeploymentReject', additionalProperties: false })
