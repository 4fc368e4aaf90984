import type { TopicContent } from './item-contents.ts'

/**
 * The change that applying an item makes in the target. It is stored with the item, so that a rollback knows what to
 * undo, and what the target must still have.
 */
export type Outcome =
  | { kind: 'topic', before: TopicContent | null, after: TopicContent }
  /** `before` and `after` are active versions of the target. */
  | { kind: 'schema', before: number | null, after: number, isRegistered: boolean }
  | { kind: 'mapping', before: number | null, after: number }

/** An outcome with its patch, as it is stored. */
export type StoredOutcome = Outcome & { diff: unknown[] }

export const parseOutcome = (text: string): StoredOutcome => JSON.parse(text) as StoredOutcome
