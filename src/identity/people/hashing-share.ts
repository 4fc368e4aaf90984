import type { HashingShare } from '../auth/hashing-queue.ts'
import type { Principal } from '../access/principal.ts'

/** Returns the owner of a principal's hashing work. Tokens share the queue of their application. */
export const hashingShareOf = (principal: Principal): HashingShare =>
  principal.kind === 'session'
    ? hashingShareOfUser(principal.userId)
    : { owner: `application ${principal.applicationId}`, kind: 'other' }

export const hashingShareOfUser = (userId: string): HashingShare => ({ owner: `user ${userId}`, kind: 'other' })
