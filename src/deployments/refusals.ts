import { ConflictError, NotFoundError, type ErrorDetail } from '../errors.ts'
import type { DeploymentCheck } from '../../schemas/deployments.ts'

/** A check and the part of the deployment that it belongs to. */
export interface PlacedCheck { path: string, check: DeploymentCheck }

/** Returns the ConflictError `DEPLOYMENT_NOT_READY` with the failing checks. */
export function notReady (id: string, verb: string, failing: readonly PlacedCheck[]): ConflictError {
  return new ConflictError(
    'DEPLOYMENT_NOT_READY',
    `The deployment ${id} cannot be ${verb}: ${failing[0]?.check.message ?? ''}${
      failing.length > 1 ? ` (and ${failing.length - 1} more)` : ''
    }`,
    {
      details: failing.map(({ path, check: { name, message, sql } }): ErrorDetail => ({
        path, message, name, ...(sql !== undefined && { sql })
      }))
    }
  )
}

/** Throws ConflictError `DEPLOYMENT_CHANGED` if a request was meant for another state of the target. */
export function requireDigest (id: string, digest: string, expected: string | undefined): void {
  if (expected === undefined || expected === digest) return
  throw new ConflictError(
    'DEPLOYMENT_CHANGED', `The target of ${id} has changed since the digest ${expected}: the digest is ${digest} now`
  )
}

/** Somebody changed the target after the checks. The transaction is rolled back, and the checks start over. */
export class TargetChanged extends Error {}

/** Returns the failing check that publishing a mapping's table is, or undefined for any other error. */
export function checkOfPublishing (error: unknown): DeploymentCheck | undefined {
  const isOfTable = (error instanceof ConflictError && /^TABLE_/.test(error.code)) ||
    (error instanceof NotFoundError && error.code === 'TABLE_NOT_FOUND')
  if (!isOfTable) return undefined
  const statement = error.details?.[0]?.['sql']
  return {
    name: 'table', ok: false, message: error.message, ...(typeof statement === 'string' && { sql: statement })
  }
}
