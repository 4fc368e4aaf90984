export interface Count { count: number, leftMs: number }

/** Counts over all nodes, in windows that begin with the first count. */
export interface SharedCounter {
  /** Returns undefined while the nodes cannot count together; the caller then counts locally. */
  count (key: string, windowMs: number): Promise<Count | undefined>
  /** Takes back one count. Does nothing while the nodes cannot count together. */
  uncount (key: string): Promise<void>
  close (): void
}
