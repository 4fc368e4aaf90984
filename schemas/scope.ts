/** The three fixed environments, in promotion order. */
export const environments = ['development', 'staging', 'production'] as const
export type Environment = typeof environments[number]

export const isEnvironment = (value: unknown): value is Environment => environments.includes(value as Environment)

/** The owner of a tenant's rows, events, channels and subscriptions. */
export interface Scope {
  readonly applicationId: string
  readonly environment: Environment
}

/** Returns a string that identifies a scope, for maps. Neither part may contain a slash. */
export const scopeKey = (scope: Scope) => `${scope.applicationId}/${scope.environment}`
