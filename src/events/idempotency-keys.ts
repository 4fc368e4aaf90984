import type pg from 'pg'
import { ConflictError } from '../errors.ts'
import type { Intent } from './intent.ts'
import { idempotencyKeptMs } from './retention.ts'
import type { Outcome } from './outcome.ts'
import * as statements from './statements.ts'
import { StaleBatchError } from './batch-errors.ts'
import type { PlannedEffects } from './write-plan.ts'

/** Sets the outcomes of intents whose idempotency keys were used before: the stored answer, or a refusal. */
export async function recallAnswers (
  intents: readonly Intent<unknown>[], outcomes: (Outcome | undefined)[], client: pg.PoolClient, now: number
): Promise<void> {
  const asked = intents.flatMap((intent, i) =>
    intent.idempotency === undefined ? [] : [{ i, scope: intent.scope, ...intent.idempotency }]
  )
  if (asked.length === 0) return
  const { rows } = await client.query<{ ordinal: number, fingerprint: Buffer, answer: string }>(
    statements.readIdempotencyKeys(asked, now - idempotencyKeptMs))
  for (const row of rows) {
    const { i, key, given = key, fingerprint } = asked[row.ordinal - 1] as typeof asked[number]
    outcomes[i] = row.fingerprint.equals(fingerprint)
      ? { answer: JSON.parse(row.answer) }
      : {
          refusal: new ConflictError(
            'IDEMPOTENCY_KEY_REUSED',
            `The idempotency key was used for another request: ${given}. Send the same body, or use a new key`
          )
        }
  }
}

/** Stores the answers of the applied intents under their idempotency keys. Throws StaleBatchError if one was taken. */
export async function rememberAnswers (
  intents: readonly Intent<unknown>[], effects: readonly (PlannedEffects | undefined)[],
  outcomes: readonly Outcome[], client: pg.PoolClient, now: number
): Promise<void> {
  const keys = intents.flatMap((intent, i) => {
    const outcome = outcomes[i]
    if (intent.idempotency === undefined || effects[i] === undefined) return []
    if (outcome === undefined || !('answer' in outcome)) return []
    return [{ scope: intent.scope, ...intent.idempotency, answer: JSON.stringify(outcome.answer) }]
  })
  if (keys.length === 0) return
  const { rowCount } = await client.query(statements.insertIdempotencyKeys(keys, now, now - idempotencyKeptMs))
  if (rowCount !== keys.length) throw new StaleBatchError('an idempotency key was taken meanwhile')
}
