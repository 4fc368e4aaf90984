import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import type { Intent } from './events/intent.ts'

/** Names a request: the same operation on the same thing with the same body has the same SHA-256, in whatever order its members stand (RFC 8785). */
export function fingerprint (operation: string, target: string, body: unknown): Buffer {
  return createHash('sha256').update(canonicalize([operation, target, body]) ?? '').digest()
}

/** An `Idempotency-Key` and whose it is: the keys of one principal do not meet those of another. */
export interface OwnKey { readonly owner: string, readonly key: string }

/**
 * What an intent carries when its caller gave an `Idempotency-Key`; nothing is computed for those who did not. A key counts for
 * its owner and the operation.
 */
export function idempotencyFor (own: OwnKey | undefined, operation: string, target: string, body: unknown): Intent<unknown>['idempotency'] {
  if (own === undefined) return undefined
  const name = createHash('sha256').update(JSON.stringify([operation, own.owner, own.key])).digest('base64url')
  return { key: name, given: own.key, fingerprint: fingerprint(operation, target, body) }
}
