import { ValidationError } from '../errors.ts'

const numberOf = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const nodesMax = 1000

/**
 * Records how far a stream has read the rows of each node. Each node numbers its rows in the order in which they become
 * visible, so that no row is skipped between two reads, even by different nodes.
 */
export class StreamCursor {
  /** A node that the cursor does not name is read if it started after this time. */
  since: number
  readonly read: Map<string, number>
  /** When the cursor last moved. */
  at: number
  /** How many events of the next row have been sent already. */
  partial: { node: string, n: number, events: number } | undefined

  constructor (
    since: number, at: number, read: Iterable<readonly [string, number]>, partial?: StreamCursor['partial']
  ) {
    this.since = since
    this.at = at
    this.read = new Map(read)
    this.partial = partial
  }

  /** Marks all of a row as sent. */
  pass (node: string, n: number): void {
    this.read.set(node, n)
    this.partial = undefined
    this.at = Date.now()
  }

  /** Keeps only the given nodes, which must be all nodes started before `since` that may still write rows. */
  rebase (since: number, nodes: readonly string[]): void {
    const read = nodes.map(node => [node, this.read.get(node) ?? 0] as const)
    this.read.clear()
    for (const [node, n] of read) this.read.set(node, n)
    this.since = since
  }

  /** Returns how many events of a row have been sent already. */
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

  /** Throws ValidationError unless the text is a cursor of this format. */
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
        'Last-Event-ID is invalid: it must be the id of a message of this stream, unchanged',
        { details: [{ path: '/last-event-id', message: 'must be the id of a message of this stream, unchanged' }] }
      )
    }
    return new StreamCursor(
      since, at, read, partial === undefined ? undefined : { node: partial[0], n: partial[1], events: partial[2] }
    )
  }
}

const isNode = (value: unknown): value is string => typeof value === 'string' && /^node_[\w-]{1,40}$/.test(value)
