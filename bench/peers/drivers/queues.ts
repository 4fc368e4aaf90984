/** A job queue that a worker of the contest fills and drains. */
export interface QueueDriver {
  /** Adds a job for each body. */
  fill (bodies: readonly string[]): Promise<void>
  /** Delivers jobs from now on, each with `deliver`, up to 32 at a time. */
  work (deliver: (body: string) => Promise<void>): Promise<void>
  /** Stops working, after the jobs in hand. */
  rest (): Promise<void>
  close (): Promise<void>
}

export interface Job { body: string }

/** As many deliveries as the platform has in flight to one endpoint. */
export const concurrency = 32
/** After this time without a sign of life, a job may be taken from its worker where the queue has such a setting. */
export const leaseSeconds = 30
