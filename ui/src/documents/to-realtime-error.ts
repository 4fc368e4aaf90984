import { RealtimeError } from '@realtime-platform/client'

/** Returns an error that a write was rejected with as one that pages can show. */
export const toRealtimeError = (error: unknown): RealtimeError =>
  error instanceof RealtimeError ? error : new RealtimeError('FAILED', String(error))
