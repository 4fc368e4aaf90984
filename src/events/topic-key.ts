import { scopeKey, type Scope } from '../../schemas/scope.ts'

/** Identifies a topic among those of all scopes. */
export const topicKey = (scope: Scope, topic: string): string => `${scopeKey(scope)}/${topic}`
