/** How events are traced. Only the first two have variables; tests may set the others. */
export interface TraceSettings {
  retentionMs: number
  /** The share of events that is traced unless the scope sets its own. */
  sample: number
  /** Events that wait to be stored, and as many steps of events. Above it, new ones are dropped and counted. */
  pendingMax: number
  /** Interval of heartbeats on an idle stream. */
  heartbeatMs: number
  /** How long a reader of traces waits for the latest ones to be stored. */
  readersWaitMs: number
}
