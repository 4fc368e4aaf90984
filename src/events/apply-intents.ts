import { setImmediate } from 'node:timers/promises'
import { toPublicError } from '../errors.ts'
import { BatchTooLargeError } from './batch-errors.ts'
import type { LoggedEvent } from './envelope.ts'
import type { DocumentState, Intent } from './intent.ts'
import { IntentBatch } from './intent-batch.ts'
import type { LockedDocuments } from './locked-documents.ts'
import type { Outcome } from './outcome.ts'
import type { PayloadCheck } from './payload-check.ts'
import type { RegisteredTopics } from './registered-topics.ts'
import type { PlannedEffects, WritePlan } from './write-plan.ts'

/** The batch yields to the event loop between two intents after it has applied intents for this long. */
const breathMs = 8

export interface Workspace {
  plan: WritePlan
  documents: LockedDocuments
  topics: RegisteredTopics
  check: PayloadCheck
}

/** Applies the intents without an outcome in order. Returns the effects of each, or undefined if it has none. */
export async function applyIntents (
  intents: readonly Intent<unknown>[], outcomes: (Outcome | undefined)[], workspace: Workspace
): Promise<(PlannedEffects | undefined)[]> {
  const effects: (PlannedEffects | undefined)[] = []
  let since = performance.now()
  for (const [i, intent] of intents.entries()) {
    effects.push(outcomes[i] === undefined ? applyIntent(intent, i, outcomes, workspace) : undefined)
    if (performance.now() - since < breathMs) continue
    await setImmediate()
    since = performance.now()
  }
  return effects
}

/** Applies one intent, or sets its outcome to a refusal. Throws if the whole batch has to be rolled back. */
function applyIntent (
  intent: Intent<unknown>, i: number, outcomes: (Outcome | undefined)[],
  { plan, documents, topics, check }: Workspace
): PlannedEffects | undefined {
  const batch = new IntentBatch(intent, topics, plan.now, check)
  try {
    return plan.apply(intent, batch, documents)
  } catch (error) {
    if (intent.position !== undefined || error instanceof BatchTooLargeError) throw error
    outcomes[i] = { refusal: toPublicError(error), checked: batch.checking }
    return undefined
  } finally {
    plan.violated.push(...batch.violated)
  }
}

/** Sets the outcome of each intent that had effects to its answer. */
export function answerIntents (
  intents: readonly Intent<unknown>[], effects: readonly (PlannedEffects | undefined)[], events: LoggedEvent[],
  outcomes: (Outcome | undefined)[]
): void {
  for (const [i, effect] of effects.entries()) {
    if (effect === undefined) continue
    const own = events.slice(effect.firstEvent, effect.firstEvent + effect.eventCount)
    outcomes[i] = answerOf(intents[i] as Intent<unknown>, own, effect.document)
  }
}

/** Returns the answer of an intent. Never throws: a failed batch is tried again, but its effects may be committed. */
function answerOf (intent: Intent<unknown>, events: LoggedEvent[], document: DocumentState | undefined): Outcome {
  try {
    return { answer: intent.answer(events, document) }
  } catch (error) {
    return { refusal: toPublicError(error) }
  }
}
