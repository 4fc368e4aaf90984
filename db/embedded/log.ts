/** Logs what the supervisor does: the event's name first, details as fields. Never the password. */
export type EmbeddedPostgresLog = (
  level: 'debug' | 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>
) => void
