import type { Scope } from '../../schemas/scope.ts'
import { authorize, type PermissionName } from '../identity/access/permissions.ts'
import type { Principal } from '../identity/access/principal.ts'
import { sourceOf, targetOf, type ItemRow, type StoredDeployment } from './deployment-rows.ts'
import type { Outcome } from './outcome.ts'

const resources = { topic: 'topics', schema: 'schemas', mapping: 'mappings' } as const

/** Throws ForbiddenError unless the principal may read the items in both environments: diffs show them. */
export function authorizeReading (
  principal: Principal, { row, items }: { row: StoredDeployment['row'], items: readonly Pick<ItemRow, 'kind'>[] }
): void {
  for (const scope of [sourceOf(row), targetOf(row)]) {
    for (const kind of new Set(items.map(item => item.kind))) authorize(principal, scope, `${resources[kind]}:read`)
  }
}

/** Throws ForbiddenError unless the principal may make these changes in the target itself. */
export function authorizeChanges (principal: Principal, target: Scope, outcomes: readonly Outcome[]): void {
  for (const outcome of outcomes) authorize(principal, target, permissionOf(outcome))
}

/** As `authorizeChanges`, for the changes that undo these. */
export function authorizeUndoing (principal: Principal, target: Scope, outcomes: readonly Outcome[]): void {
  for (const { kind, before } of outcomes) {
    authorize(principal, target, `${kind === 'mapping' ? 'mappings' : 'topics'}:${
      before === null && kind !== 'schema' ? 'delete' : 'update'
    }`)
  }
}

function permissionOf (outcome: Outcome): PermissionName {
  switch (outcome.kind) {
    case 'topic': return outcome.before === null ? 'topics:create' : 'topics:update'
    case 'schema': return outcome.isRegistered ? 'schemas:create' : 'topics:update'
    case 'mapping': return 'mappings:update'
  }
}
