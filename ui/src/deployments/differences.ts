import { useQuery } from '@tanstack/react-query'
import { read, type DataOf, type GetPath, type Parameters, type Scope } from '../app/api.ts'
import type { ItemOf } from '../app/queries.ts'

export type Kind = 'topic' | 'schema' | 'mapping'

/** Something that the target does not have, or has otherwise. */
export interface Difference {
  key: string
  kind: Kind
  /** The topic of a topic or schema, the id of a mapping. */
  name: string
  label: string
  /** The topic that has to be in the target as well. */
  topic: string
  isMissing: boolean
  before: unknown
  after: unknown
}

type Topic = ItemOf<DataOf<'/api/topics'>>
type Schema = ItemOf<DataOf<'/api/schemas'>>
type Mapping = ItemOf<DataOf<'/api/database/mappings'>>

interface State {
  topics: Topic[]
  schemas: Schema[]
  mappings: Mapping[]
}

/** Compares two environments of an application, as far as the user may read them. */
export const useDifferences = (source: Scope, target: Scope, may: (permission: string) => boolean) =>
  useQuery({
    queryKey: ['differences', source.applicationId, source.environment, target.environment],
    queryFn: async ({ signal }) => {
      const [before, after] = await Promise.all([stateOf(target, may, signal), stateOf(source, may, signal)])
      return differencesOf(before, after)
    },
    staleTime: 0
  })

async function stateOf (scope: Scope, may: (permission: string) => boolean, signal: AbortSignal): Promise<State> {
  const [topics, schemas, mappings] = await Promise.all([
    may('topics:read') ? readAll(scope, '/api/topics', signal) : [],
    may('schemas:read') ? readAll(scope, '/api/schemas', signal) : [],
    may('mappings:read') ? readAll(scope, '/api/database/mappings', signal) : []
  ])
  return { topics, schemas, mappings }
}

async function readAll<Path extends GetPath> (
  scope: Scope,
  path: Path,
  signal: AbortSignal
): Promise<ItemOf<DataOf<Path>>[]> {
  const items: ItemOf<DataOf<Path>>[] = []
  let cursor: string | undefined
  do {
    const query = { limit: 200, ...(cursor !== undefined && { cursor }) }
    const { data, headers } = await read(scope, path, { query } as Parameters<Path>, signal)
    if (Array.isArray(data)) items.push(...(data as ItemOf<DataOf<Path>>[]))
    cursor = headers.get('x-next-cursor') ?? undefined
  } while (cursor !== undefined)
  return items
}

/** Returns the differences: topics first, because schemas and mappings need them. */
export function differencesOf (before: State, after: State): Difference[] {
  return [...ofTopics(before, after), ...ofSchemas(before, after), ...ofMappings(before, after)]
}

const isEqual = (a: unknown, b: unknown): boolean => toSorted(a) === toSorted(b)
const toSorted = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part
  ) ?? ''

function difference (of: Omit<Difference, 'key' | 'isMissing'>): Difference[] {
  if (of.before !== undefined && isEqual(of.before, of.after)) return []
  return [{ ...of, key: `${of.kind} ${of.name}`, isMissing: of.before === undefined }]
}

function ofTopics (before: State, after: State): Difference[] {
  const content = (topic: Topic | undefined) => topic && { description: topic.description, owner: topic.owner }
  return after.topics.flatMap(topic =>
    difference({
      kind: 'topic',
      name: topic.name,
      label: topic.name,
      topic: topic.name,
      before: content(before.topics.find(({ name }) => name === topic.name)),
      after: content(topic)
    })
  )
}

function ofSchemas (before: State, after: State): Difference[] {
  return after.topics.flatMap(({ name }) => {
    const schema = inForce(after, name)
    if (schema === undefined) return []
    return difference({
      kind: 'schema',
      name,
      label: `${name} v${schema.version}`,
      topic: name,
      before: activeOf(before, name)?.schema,
      after: schema.schema
    })
  })
}

const versionsOf = ({ schemas }: State, topic: string): Schema[] => schemas.filter(schema => schema.topic === topic)

function activeOf (state: State, topic: string): Schema | undefined {
  const active = state.topics.find(({ name }) => name === topic)?.activeSchemaVersion
  return versionsOf(state, topic).find(({ version }) => version === active)
}

/** The version that a deployment takes by default: the active one, or else the latest. */
const inForce = (state: State, topic: string): Schema | undefined =>
  activeOf(state, topic) ?? versionsOf(state, topic).sort((a, b) => b.version - a.version)[0]

function ofMappings (before: State, after: State): Difference[] {
  const content = (mapping: Mapping | undefined) => {
    if (mapping === undefined) return undefined
    const { table, topic, events, triggerColumns, payload, when } = mapping
    return { table, topic, events, triggerColumns, payload, when }
  }
  return after.mappings.flatMap(mapping =>
    difference({
      kind: 'mapping',
      name: mapping.id,
      label: `${mapping.table} → ${mapping.topic}`,
      topic: mapping.topic,
      before: content(before.mappings.find(({ id }) => id === mapping.id)),
      after: content(mapping)
    })
  )
}
