import { bucketsCount, type LatencyCounts } from '../../foundation/observability/latency-buckets.ts'

/** The events of a period in numbers. Each number is added up: over nodes, over scopes, and over time. */
export class Counts {
  received = 0
  captured = 0
  routed = 0
  delivered = 0
  reconnects = 0
  schemaViolations = 0
  mappingFailures = 0
  connectionMs = 0
  succeeded = 0
  failed = 0
  writesWaiting = 0
  #latencies: Float64Array | undefined

  get isEmpty (): boolean {
    return this.received + this.captured + this.routed + this.delivered + this.reconnects + this.schemaViolations +
      this.mappingFailures + this.connectionMs + this.succeeded + this.failed + this.writesWaiting === 0 &&
      this.#latencies === undefined
  }

  /** Events and attempts, by which the busiest topics and webhooks are chosen. */
  get activity (): number {
    return this.received + this.routed + this.delivered + this.succeeded + this.failed
  }

  add (more: Counts): void {
    this.received += more.received
    this.captured += more.captured
    this.routed += more.routed
    this.delivered += more.delivered
    this.reconnects += more.reconnects
    this.schemaViolations += more.schemaViolations
    this.mappingFailures += more.mappingFailures
    this.connectionMs += more.connectionMs
    this.succeeded += more.succeeded
    this.failed += more.failed
    this.writesWaiting += more.writesWaiting
    if (more.#latencies !== undefined) this.#addLatencies(more.#latencies)
  }

  takeLatencies (from: LatencyCounts): void {
    const counts = from.take()
    if (counts !== undefined) this.#addLatencies(counts)
  }

  /** The latencies by bucket, without empty buckets. */
  get latencies (): { buckets: number[], counts: number[] } {
    const [buckets, counts]: [number[], number[]] = [[], []]
    this.#latencies?.forEach((count, bucket) => {
      if (count === 0) return
      buckets.push(bucket)
      counts.push(count)
    })
    return { buckets, counts }
  }

  #addLatencies (more: Float64Array | Uint32Array): void {
    this.#latencies ??= new Float64Array(bucketsCount)
    for (let i = 0; i < bucketsCount; i++) (this.#latencies[i] as number) += more[i] as number
  }
}
