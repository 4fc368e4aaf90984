import closeWithGrace from 'close-with-grace'
import type { Logger } from 'pino'

const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
type StopSignal = typeof stopSignals[number]

export interface Part { close (): Promise<unknown> }

export interface Running {
  /** The parts that have been started. They are closed in reverse order. */
  started: Part[]
  /** Stops the process, as a signal does. */
  stop (): void
  /** Logs the error, and stops the process with exit code 1. */
  fail (error: Error): void
}

export interface RunOptions {
  shutdownTimeoutMs: number
  logger: Logger
  /** Signals that do not stop the process. */
  ignored?: readonly StopSignal[]
}

/** Runs `start`. Stops what it started when a signal arrives, also during the start, or when the start fails. */
export async function untilStopped (
  { shutdownTimeoutMs, logger, ignored = [] }: RunOptions, start: (running: Running) => Promise<void>
): Promise<void> {
  const started: Part[] = []
  const closeAll = async () => { for (const part of started.splice(0).reverse()) await part.close() }
  let isStopping = false

  const { close } = closeWithGrace(
    { delay: shutdownTimeoutMs, logger, skip: [...stopSignals] },
    async ({ err }) => {
      isStopping = true
      if (err !== undefined) logger.fatal({ err }, 'server.crashed')
      await closeAll()
    }
  )
  const stop = (fields: object) => {
    if (isStopping) return
    isStopping = true
    logger.info(fields, 'server.stopping')
    void close()
  }
  // Signals are handled here because close-with-grace kills the process at the second one, and npm passes a Ctrl-C on
  // that the terminal has already sent.
  for (const signal of stopSignals) {
    process.on(signal, ignored.includes(signal) ? () => {} : () => stop({ signal }))
  }
  try {
    await start({
      started,
      stop: () => stop({}),
      // Handled by close-with-grace, as any other error that nobody expects.
      fail: error => { setImmediate(() => { throw error }) }
    })
  } catch (error) {
    // A stop during the start makes the start fail: that is no error.
    if (isStopping) return
    await closeAll()
    throw error
  }
}
