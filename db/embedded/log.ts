/** Where the supervisor reports what it does: the event's name first, its facts as fields. Never the password. */
export type EmbeddedPostgresLog = (
  level: 'debug' | 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>
) => void
