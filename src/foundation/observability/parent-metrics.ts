import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client'

/** The metrics of the parent of WORKERS, with those of its process. docs/METRICS.md explains them. */
export function createParentMetrics () {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  return {
    registry,
    workersWanted: new Gauge({ name: 'realtime_workers_wanted', help: 'The number of workers to run.', registers }),
    workers: new Gauge({ name: 'realtime_workers', help: 'Workers that accept connections.', registers }),
    workersEnded: new Counter({
      name: 'realtime_workers_ended_total', help: 'Workers that ended and were replaced.', registers
    }),
    messagesDropped: new Counter({
      name: 'realtime_worker_messages_dropped_total',
      help: 'Messages between workers that were dropped because their receiver did not read.',
      registers
    })
  }
}
