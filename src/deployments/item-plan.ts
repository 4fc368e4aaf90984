import type { CompatibilityVerdict } from '../../schemas/schema-registry.ts'
import type { DeploymentCheck, DeploymentItem } from '../../schemas/deployments.ts'
import { createdDiffText, diffText } from '../documents/diff.ts'
import { jsonEqual } from '../documents/json-equal.ts'
import type { ItemContent } from './item-contents.ts'
import type { Outcome } from './outcome.ts'
import type { TargetState } from './target-state.ts'

/** The effect of applying an item to one state of the target. */
export interface ItemPlan {
  content: ItemContent
  /** Undefined if the target has all of it already. */
  outcome: Outcome | undefined
  diff: DeploymentItem['diff']
  /** The state of the target that was planned for. Two plans of an item with the same mark do the same. */
  mark: unknown
  checks: DeploymentCheck[]
  compatibility?: CompatibilityVerdict
  /** The table that the target's version of the mapping reads, if the item has another one. */
  tableLeft?: string
}

/** Plans an item, without its checks. */
export function planItem (content: ItemContent, target: TargetState): ItemPlan {
  switch (content.kind) {
    case 'topic': {
      const found = target.topics.get(content.topic)
      const before = found === undefined ? null : { description: found.description, owner: found.owner }
      const { content: after } = content
      const isSame = before !== null && jsonEqual(before, after)
      return {
        content,
        outcome: isSame ? undefined : { kind: 'topic', before, after },
        diff: diffOf(before ?? undefined, after),
        mark: before,
        checks: []
      }
    }
    case 'schema': {
      const [latest, active] = [target.latest.get(content.topic), target.active.get(content.topic)]
      const after = JSON.parse(content.text) as unknown
      // The active or the latest version may be this schema already. Another one that is equal is registered again,
      // because it has to be compatible with the versions since.
      const equal = [active, latest].find(one => one !== undefined && jsonEqual(JSON.parse(one.text), after))
      const isRegistered = equal === undefined
      const version = equal?.version ?? (latest?.version ?? 0) + 1
      const isSame = active !== undefined && active === equal
      return {
        content,
        outcome: isSame
          ? undefined
          : { kind: 'schema', before: active?.version ?? null, after: version, isRegistered },
        diff: isSame ? [] : diffOf(active && JSON.parse(active.text), after),
        mark: [latest?.version ?? null, active?.version ?? null],
        checks: []
      }
    }
    case 'mapping': {
      const { id, version, definition } = content
      const found = target.mappings.get(id)
      const before = found?.version ?? null
      return {
        content,
        outcome: before === version ? undefined : { kind: 'mapping', before, after: version },
        diff: definition === undefined || before === version ? [] : diffOf(found?.definition, definition),
        mark: before,
        checks: [],
        ...(found?.definition !== undefined && found.definition.table !== definition?.table && {
          tableLeft: found.definition.table
        })
      }
    }
  }
}

function diffOf (before: unknown, after: unknown): DeploymentItem['diff'] {
  const text = JSON.stringify(after)
  return JSON.parse(before === undefined ? createdDiffText(text) : diffText(before, after, text)) as
    DeploymentItem['diff']
}

export const actionOf = (outcome: Outcome | undefined): DeploymentItem['action'] =>
  outcome === undefined ? 'none' : outcome.before === null ? 'create' : 'update'

/** Returns the version that the target has once the item is applied. */
export function targetVersionOf ({ content, outcome, mark }: ItemPlan): number | null {
  if (content.kind === 'topic') return null
  if (outcome !== undefined && outcome.kind !== 'topic') return outcome.after
  return content.kind === 'mapping' ? content.version : (mark as [number | null, number | null])[1]
}
