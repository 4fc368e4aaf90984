import { StaleBatchError } from './batch-errors.ts'

export type RetryReason = 'stale' | 'deadlock' | 'serialization' | 'partition' | 'missing_reference'

/** Returns why another attempt may succeed, or undefined if none can. */
export function retryReason (error: unknown): RetryReason | undefined {
  if (error instanceof StaleBatchError) return 'stale'
  switch (sqlState(error)) {
    case '40P01': return 'deadlock'
    case '40001': return 'serialization'
    case '23514': return 'partition'
    case foreignKeyViolation: return 'missing_reference'
    default: return undefined
  }
}

export const isMissingReference = (error: unknown): boolean => sqlState(error) === foreignKeyViolation

const foreignKeyViolation = '23503'
const sqlState = (error: unknown) => (error as { code?: string }).code
