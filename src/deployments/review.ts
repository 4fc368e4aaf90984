import { createHash } from 'node:crypto'
import type { Kysely } from 'kysely'
import type { Database } from '../../db/tables.ts'
import type { DeploymentCheck } from '../../schemas/deployments.ts'
import type { Scope } from '../../schemas/scope.ts'
import type { SourcePool } from '../cdc/threads/source-pool.ts'
import { PublicError, ServiceUnavailableError } from '../errors.ts'
import type { SchemaVersions } from '../registry/schemas/versions.ts'
import { existsByItself, isReserved } from '../registry/topics/topic-names.ts'
import { targetOf, type StoredDeployment } from './deployment-rows.ts'
import { readContents, type ItemContent } from './item-contents.ts'
import { planItem, type ItemPlan } from './item-plan.ts'
import { checkTables } from './mapping-checks.ts'
import { readTargetState, type TargetState } from './target-state.ts'

export interface ReviewOptions {
  db: Kysely<Database>
  sources: SourcePool
  schemas: Pick<SchemaVersions, 'compatibilityOf'>
}

/** The effect of applying a deployment now, with its checks. */
export interface Review {
  plans: ItemPlan[]
  /** Identifies the contents and what the target has of them: a change of either makes another digest. */
  digest: string
}

/** Compares deployments with their targets. Changes nothing. */
export function createReview ({ db, sources, schemas }: ReviewOptions) {
  async function checkSchema (
    target: Scope, plan: ItemPlan, content: ItemContent & { kind: 'schema' }, state: TargetState
  ): Promise<void> {
    const { outcome } = plan
    if (outcome?.kind !== 'schema' || !outcome.isRegistered) {
      plan.checks.push({
        name: 'compatibility', ok: true,
        message: `The ${outcome === undefined ? 'active' : 'latest'} version of the schema in ${
          target.environment
        } is the same`
      })
      return
    }
    const latest = state.latest.get(content.topic)
    const { mode, policy } = latest ?? content
    try {
      const { verdict } = await schemas.compatibilityOf(target, content.topic, content.text, mode, policy)
      plan.compatibility = verdict
      plan.checks.push(ofVerdict(verdict, target))
    } catch (error) {
      // A comparison that reached its limit is a failed check. An overloaded server says nothing about the schema.
      const isVerdict = error instanceof PublicError &&
        (!(error instanceof ServiceUnavailableError) || error.code === 'SCHEMA_COMPARISON_LIMIT')
      if (!isVerdict) throw error
      plan.checks.push({ name: 'compatibility', ok: false, message: error.message })
    }
  }

  /**
   * Returns what applying the deployment would do to the present state of the target, with all checks of the items
   * unless they are not wanted.
   */
  return async function review (
    deployment: StoredDeployment, { checks = true }: { checks?: boolean } = {}
  ): Promise<Review> {
    const target = targetOf(deployment.row)
    const contents = await readContents(db, deployment)
    const state = await readTargetState(db, target, contents)
    const plans = contents.map(content => planItem(content, state))
    const digest = digestOf(plans)
    if (!checks) return { plans, digest }
    const created = new Set(contents.flatMap(content => content.kind === 'topic' ? content.topic : []))
    const tables = await checkTables(
      sources, target, contents.flatMap(content => content.kind === 'mapping' ? content.definition ?? [] : [])
    )
    for (const plan of plans) {
      const { content } = plan
      if (content.kind === 'topic') plan.checks.push(ofTopic(plan, target))
      else if (content.kind === 'schema') {
        plan.checks.push(ofNeededTopic(content.topic, target, state, created))
        await checkSchema(target, plan, content, state)
      } else if (content.definition === undefined) {
        plan.checks.push({ name: 'mapping', ok: false, message: `The mapping ${content.id} was deleted` })
      } else {
        plan.checks.push(
          ofNeededTopic(content.definition.topic, target, state, created), ...tables.get(content.definition) ?? []
        )
      }
    }
    return { plans, digest }
  }
}
export type ReviewDeployment = ReturnType<typeof createReview>

function ofTopic ({ content, outcome }: ItemPlan, { environment }: Scope): DeploymentCheck {
  const what = outcome === undefined
    ? `is the same in ${environment}`
    : outcome.before === null ? `will be registered in ${environment}` : `is registered in ${environment}`
  return { name: 'topic', ok: true, message: `The topic ${content.item.name} ${what}` }
}

/** The topic of a schema or mapping must be in the target or among the items. */
function ofNeededTopic (
  topic: string, { environment }: Scope, { topics }: TargetState, created: ReadonlySet<string>
): DeploymentCheck {
  const check = (ok: boolean, message: string): DeploymentCheck => ({ name: 'topic', ok, message })
  if (topics.has(topic)) return check(true, `The topic ${topic} is registered in ${environment}`)
  if (created.has(topic)) return check(true, `The topic ${topic} is part of the deployment`)
  if (isReserved(topic)) {
    return existsByItself(topic)
      ? check(true, `The topic ${topic} is one of the platform's own`)
      : check(false, `The platform has no topic ${topic}`)
  }
  return check(
    false, `The topic ${topic} is not registered in ${environment}. Register it there, or add it to the deployment`
  )
}

function ofVerdict (
  { compatible, compatibilityMode, comparedWith, changes }: NonNullable<ItemPlan['compatibility']>,
  { environment }: Scope
): DeploymentCheck {
  const name = 'compatibility'
  if (comparedWith.length === 0) {
    return { name, ok: true, message: `There is no version in ${environment} that it must be compatible with` }
  }
  const versions = comparedWith.length === 1
    ? `version ${comparedWith[0]}`
    : `all ${comparedWith.length} versions`
  if (compatible) {
    const message = `The schema is ${compatibilityMode} compatible with ${versions} in ${environment}`
    return { name, ok: true, message }
  }
  const reasons = changes.filter(change => !change.compatible).map(({ message }) => message)
  const more = reasons.length > reasonsMax ? `; and ${reasons.length - reasonsMax} more` : ''
  return {
    name, ok: false,
    message: `The schema is not ${compatibilityMode} compatible with ${versions} in ${environment}: ${
      reasons.slice(0, reasonsMax).join('; ')
    }${more}`
  }
}

/** The reasons in a message. `compatibility` has all of them. */
const reasonsMax = 5

const digestOf = (plans: readonly ItemPlan[]): string =>
  createHash('sha256').update(JSON.stringify(plans.map(({ content: { item }, mark }) =>
    [item.kind, item.name, item.version, item.content, mark]))).digest('base64url')
