import { scopeKey, type Scope } from '../../schemas/scope.ts'

export interface TopicKey { scope: Scope, topic: string }

/** Identifies a topic among those of all scopes. */
export const topicKey = (scope: Scope, topic: string): string => `${scopeKey(scope)}/${topic}`
