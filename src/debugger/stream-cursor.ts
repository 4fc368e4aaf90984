import { ValidationError } from '../errors.ts'

const numberOf = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const nodesMax = 1000

/**
 * How far a stream has read of what each node has written. Each node's rows are numbered in the order in which they can
 * be seen, so that nothing falls between two readings, whoever does them.
 */
export class StreamCursor {
  /** Nodes that it does not name are of interest if they have started since. */
  since: number
  readonly read: Map<string, number>
  /** When it last moved. */
  at: number
  /** Of one row more the first so many events. */
  partial: { node: string, n: number, events: number } | undefined

  constructor (
    since: number, at: number, read: Iterable<readonly [string, number]>, partial?: StreamCursor['partial']
  ) {
    this.since = since
    this.at = at
    this.read = new Map(read)
    this.partial = partial
  }

  /** All of a row has been dealt with. */
  pass (node: string, n: number): void {
    this.read.set(node, n)
    this.partial = undefined
    this.at = Date.now()
  }

  /**
   * Forgets nodes that have nothing more to say: those that are still of interest are given, all that began before
   * `since`.
   */
  rebase (since: number, nodes: readonly string[]): void {
    const read = nodes.map(node => [node, this.read.get(node) ?? 0] as const)
    this.read.clear()
    for (const [node, n] of read) this.read.set(node, n)
    this.since = since
  }

  /** How many events of a row have been dealt with before. */
  skipped (node: string, n: number): number {
    return this.partial?.node === node && this.partial.n === n ? this.partial.events : 0
  }

  toString (): string {
    const { since, at, read, partial } = this
    return Buffer.from(
      JSON.stringify([
        since,
        at,
        [...read],
        ...(partial === undefined ? [] : [[partial.node, partial.n, partial.events]])
      ])
    ).toString('base64url')
  }

  /** Throws ValidationError for what is not one of ours. */
  static parse (text: string): StreamCursor {
    let parts: unknown
    try {
      parts = JSON.parse(Buffer.from(text, 'base64url').toString())
    } catch {}
    const [since, at, read, partial] = Array.isArray(parts) ? parts as unknown[] : []
    const isPair = (pair: unknown): pair is [string, number] =>
      Array.isArray(pair) && pair.length === 2 && isNode(pair[0]) && numberOf(pair[1])
    const isPartial = (value: unknown): value is [string, number, number] =>
      Array.isArray(value) && value.length === 3 && isNode(value[0]) && numberOf(value[1]) && numberOf(value[2])
    if (
      !numberOf(since) || !numberOf(at) || !Array.isArray(read) || read.length > nodesMax || !read.every(isPair) ||
      (partial !== undefined && !isPartial(partial))
    ) {
      throw new ValidationError(
        'VALIDATION_FAILED',
        'Last-Event-ID is not one of ours: pass the id of the last message',
        {
          details: [{ path: '/last-event-id', message: 'must be the id of the last message' }]
        }
      )
    }
    return new StreamCursor(
      since, at, read, partial === undefined ? undefined : { node: partial[0], n: partial[1], events: partial[2] }
    )
  }
}

const isNode = (value: unknown): value is string => typeof value === 'string' && /^node_[\w-]{1,40}$/.test(value)
