import type { Principal } from '../identity/access/principal.ts'

/** What others know a principal by: a token's `sub`, a user's id. */
export const subjectOf = (principal: Principal): string => principal.kind === 'token' ? principal.subject : principal.userId
