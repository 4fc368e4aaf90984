/** How alerts are evaluated. Only the first two have variables; tests may shorten the others. */
export interface AlertSettings {
  intervalMs: number
  /** How long resolved alerts are kept. */
  retentionMs: number
  /** How long a condition must not hold before its alert is resolved. */
  resolveAfterMs: number
  /** The period over which failures are counted. */
  windowMs: number
  /** The period over which dead deliveries are counted. */
  deadWindowMs: number
  /** The interval that a node's counts are stored for: the window is accurate to it. */
  countedPerMs: number
  /** How often a node stores its counts. */
  countsStoredEveryMs: number
  /** Firing alerts of one rule in one scope. Targets beyond it do not fire until others are resolved. */
  firingPerRuleMax: number
  /** Resolved alerts that a scope keeps. The oldest are deleted first. */
  resolvedPerScopeMax: number
}

export const defaultAlertSettings: Omit<AlertSettings, 'intervalMs' | 'retentionMs'> = {
  resolveAfterMs: 60_000,
  windowMs: 5 * 60_000,
  deadWindowMs: 3_600_000,
  countedPerMs: 60_000,
  countsStoredEveryMs: 2000,
  firingPerRuleMax: 100,
  resolvedPerScopeMax: 1000
}
