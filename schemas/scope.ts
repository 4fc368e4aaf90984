/** The three fixed environments, in promotion order. */
export const environments = ['development', 'staging', 'production'] as const
export type Environment = typeof environments[number]

export const isEnvironment = (value: unknown): value is Environment => environments.includes(value as Environment)

/** What every row, event, channel and subscription of a tenant belongs to. */
export interface Scope {
  readonly applicationId: string
  readonly environment: Environment
}

/** One string for one scope, for maps. Neither part may contain a slash. */
export const scopeKey = (scope: Scope) => `${scope.applicationId}/${scope.environment}`
