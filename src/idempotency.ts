import { createHash } from 'node:crypto'
import type { Intent } from './events/intent.ts'

/** Names a request: the same operation on the same thing with the same body has the same SHA-256. */
export function fingerprint (operation: string, target: string, body: unknown): Buffer {
  return createHash('sha256').update(JSON.stringify([operation, target, body])).digest()
}

/** What an intent carries when its caller gave an `Idempotency-Key`; nothing is computed for those who did not. */
export function idempotencyFor (key: string | undefined, operation: string, target: string, body: unknown): Intent<unknown>['idempotency'] {
  return key === undefined ? undefined : { key, fingerprint: fingerprint(operation, target, body) }
}
