import type { Scope } from '../../schemas/scope.ts'

/** The work left for the checks of one payload, or of all payloads of a request. Only the schema stage uses it. */
export interface CheckBudget { left: number, burn (steps: number): void }

/** The schema stage: checks payloads against the active version of their topic. */
export interface PayloadCheck {
  createBudget (): CheckBudget
  /**
   * Returns the check for a topic with an active version, and loads it if it is not in memory. Called once a batch for
   * each such topic; the batch keeps the result until it ends.
   */
  prepare (scope: Scope, topic: string, version: number): TopicCheck | Promise<TopicCheck>
}

/** Throws ValidationError if the payload is invalid, with paths below `path`, or if the budget is spent. */
export type TopicCheck = (payload: unknown, path: string, budget: CheckBudget) => void
