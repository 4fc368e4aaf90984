import type { RuleName, AlertRule, Severity } from './words.ts'

/** The fields of a rule that the form edits. Numbers are text while they are typed. */
export interface RuleValues {
  enabled: boolean
  severity: Severity
  threshold: string
  forSeconds: string
}
export type Values = Record<string, RuleValues>

export interface RuleUpdate {
  rule: RuleName
  enabled?: boolean
  severity?: Severity
  threshold?: number | null
  forSeconds?: number
}

export const valuesOf = (rules: readonly AlertRule[]): Values =>
  Object.fromEntries(
    rules.map(({ rule, enabled, severity, threshold, forSeconds }) => [
      rule,
      { enabled, severity, threshold: threshold === null ? '' : String(threshold), forSeconds: String(forSeconds) }
    ])
  )

/** An empty or wrong number becomes NaN, which JSON writes as null, and the server refuses it at its field. */
const toNumber = (text: string): number => (text.trim() === '' ? NaN : Number(text))

/** Returns the changed fields of the changed rules. */
export function changesOf (rules: readonly AlertRule[], values: Values): RuleUpdate[] {
  return rules.flatMap(old => {
    const now = values[old.rule]
    if (now === undefined) return []
    const changes = {
      ...(now.enabled !== old.enabled && { enabled: now.enabled }),
      ...(now.severity !== old.severity && { severity: now.severity }),
      ...(old.threshold !== null &&
        toNumber(now.threshold) !== old.threshold && { threshold: toNumber(now.threshold) }),
      ...(toNumber(now.forSeconds) !== old.forSeconds && { forSeconds: toNumber(now.forSeconds) })
    }
    return Object.keys(changes).length === 0 ? [] : [{ rule: old.rule, ...changes }]
  })
}
