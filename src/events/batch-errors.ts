/** Thrown when another node has changed rows that this batch has read. The batch is tried again. */
export class StaleBatchError extends Error {}

/** Thrown when a batch of several intents would hold too much in memory. It is tried again in parts. */
export class BatchTooLargeError extends Error {}

/**
 * Limits the text of a batch's large documents, and that of its events, in bytes and characters. A batch of one intent
 * has no such limit.
 */
export const batchTextMax = 16 * 1024 * 1024
