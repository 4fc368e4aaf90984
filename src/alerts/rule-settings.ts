import type { Kysely, Selectable } from 'kysely'
import type { AlertRulesTable, Database } from '../../db/tables.ts'
import type { AlertRule, AlertRuleName, AlertRuleUpdate, AlertSeverity } from '../../schemas/alerts.ts'
import type { Scope } from '../../schemas/scope.ts'
import { NotFoundError, ValidationError } from '../errors.ts'
import type { Origin } from '../identity/audit/origin.ts'
import { recordAll } from '../identity/audit/record.ts'
import { rules, type Rule } from './rules.ts'

export const ruleEntries = Object.entries(rules) as [AlertRuleName, Rule][]

/** Reads and changes the rules of a scope: the built-in ones, with what the scope has changed. */
export function createRuleSettings ({ db }: { db: Kysely<Database> }) {
  async function read (from: Kysely<Database>, { applicationId, environment }: Scope): Promise<AlertRule[]> {
    const rows = await from.selectFrom('alert_rules').selectAll().where('application_id', '=', applicationId)
      .where('environment', '=', environment).execute()
    const changed = new Map(rows.map(row => [row.rule, row]))
    return ruleEntries.map(([name, rule]) => toRule(name, rule, changed.get(name)))
  }

  return {
    /** Returns all rules. */
    list: (scope: Scope): Promise<AlertRule[]> => read(db, scope),

    /**
     * Changes the named fields of the named rules, all or none, and returns all rules. Throws ValidationError for a
     * threshold outside the limits of its rule, and for a rule that is named twice.
     */
    async update (scope: Scope, updates: readonly AlertRuleUpdate[], by: Origin): Promise<AlertRule[]> {
      requireValid(updates)
      const { applicationId, environment } = scope
      return await db.transaction().execute(async trx => {
        // The lock makes concurrent changes of an application's rules follow one another.
        const application = await trx.selectFrom('applications').select('id').where('id', '=', applicationId)
          .forNoKeyUpdate().executeTakeFirst()
        if (application === undefined) {
          throw new NotFoundError('APPLICATION_NOT_FOUND', `Application not found: ${applicationId}`)
        }
        const before = await read(trx, scope)
        for (const { rule, ...fields } of updates) {
          const values = {
            ...(fields.enabled !== undefined && { enabled: fields.enabled }),
            ...(fields.severity !== undefined && { severity: fields.severity }),
            ...(fields.threshold != null && { threshold: fields.threshold }),
            ...(fields.forSeconds !== undefined && { for_seconds: fields.forSeconds }),
            updated_at: Date.now()
          }
          await trx.insertInto('alert_rules').values({ application_id: applicationId, environment, rule, ...values })
            .onConflict(conflict =>
              conflict.columns(['application_id', 'environment', 'rule']).doUpdateSet(values)
            ).execute()
        }
        const after = await read(trx, scope)
        await recordAll(trx, by, after.flatMap((rule, i) => {
          const old = before[i] as AlertRule
          return settingsOf(old) === settingsOf(rule)
            ? []
            : [{
                action: 'alert_rule.updated' as const, resourceId: rule.rule, place: scope, before: editable(old),
                after: editable(rule)
              }]
        }))
        return after
      })
    }
  }
}
export type RuleSettings = ReturnType<typeof createRuleSettings>

function requireValid (updates: readonly AlertRuleUpdate[]): void {
  for (const [i, { rule, threshold }] of updates.entries()) {
    if (updates.findIndex(other => other.rule === rule) !== i) {
      throw invalid(`/${i}/rule`, `must be named once (${rule})`)
    }
    if (threshold === undefined) continue
    const { threshold: limits } = rules[rule]
    if (limits === undefined) {
      if (threshold !== null) throw invalid(`/${i}/threshold`, `must be null: ${rule} has no threshold`)
    } else if (threshold === null || threshold < limits.min || threshold > limits.max) {
      throw invalid(
        `/${i}/threshold`, `must be a number from ${limits.min} to ${limits.max} for ${rule} (in ${limits.unit})`
      )
    }
  }
}

const invalid = (path: string, message: string) =>
  new ValidationError('VALIDATION_FAILED', `The body ${path} ${message}`, { details: [{ path, message }] })

const editable = ({ rule, enabled, severity, threshold, forSeconds }: AlertRule) =>
  ({ rule, enabled, severity, threshold, forSeconds })
const settingsOf = (rule: AlertRule) => JSON.stringify(editable(rule))

function toRule (
  name: AlertRuleName, { severity, threshold, forSeconds, description }: Rule,
  row: Selectable<AlertRulesTable> | undefined
): AlertRule {
  return {
    rule: name,
    enabled: row?.enabled ?? true,
    severity: (row?.severity as AlertSeverity | null | undefined) ?? severity,
    threshold: threshold === undefined ? null : row?.threshold ?? threshold.default,
    forSeconds: row?.for_seconds ?? forSeconds,
    description,
    unit: threshold?.unit ?? null,
    thresholdMin: threshold?.min ?? null,
    thresholdMax: threshold?.max ?? null
  }
}
