import { intArray, textArray } from '../../db/arrays.ts'
import type { Statement } from './intent.ts'
import type { TopicKey } from './topic-key.ts'

/** Whether a topic is registered, and the version of its active schema, if any, as a node last read them. */
export interface TopicFact extends TopicKey { isRegistered: boolean, version: number | null }

/** The version of an application's webhooks, as a node last read it; null if it never had any. */
export interface RoutingFact { applicationId: string, version: number | null }

/** The facts from memory that a batch was prepared with. */
export interface Facts { topics: TopicFact[], routing: RoutingFact[] }

/** Stands for a topic that is not registered. 0 stands for one without an active schema; versions begin with 1. */
const unregistered = -1

/** A condition: the facts in the parameters, those of topics and those of webhooks, are the ones of the database. */
export const factsSql = (topics: string, routing: string) => `
  not exists (
    select from unnest(${topics}) as k(application_id, environment, name, version)
    left join topics t using (application_id, environment, name)
    where case when t.name is null then ${unregistered} else coalesce(t.active_schema_version, 0) end <> k.version)
  and not exists (
    select from unnest(${routing}) as k(application_id, version)
    left join webhook_versions v using (application_id) where v.version is distinct from k.version)`

const compareSql = `select where ${factsSql(
  '$1::text[], $2::text[], $3::text[], $4::int[]', '$5::text[], $6::bigint[]'
)}`

/** Returns one row, if the facts are those of the database. */
export const compareFacts = (facts: Facts): Statement => ({
  name: 'writer_compare_facts', text: compareSql, values: factArrays(facts)
})

/** The parameters of the facts: four arrays for topics, two for webhooks. */
export const factArrays = ({ topics, routing }: Facts) => [
  textArray(topics.map(({ scope }) => scope.applicationId)),
  textArray(topics.map(({ scope }) => scope.environment)),
  textArray(topics.map(({ topic }) => topic)),
  intArray(topics.map(({ isRegistered, version }) => isRegistered ? version ?? 0 : unregistered)),
  textArray(routing.map(({ applicationId }) => applicationId)),
  intArray(routing.map(({ version }) => version))
]
