import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Account } from './account.ts'
import { endServer } from './end-server.ts'
import type { LogFile } from './log-file.ts'
import type { EmbeddedPostgresLog } from './log.ts'
import { readPidFile } from './pid-file.ts'
import { settingArguments, toolEnvironment } from './settings.ts'

// Limit without output. A server that recovers from a crash writes a line every ten seconds and so gets the time it
// needs.
const silenceMsMax = 30_000
const startMsMax = 600_000

export interface PostmasterOptions {
  dataDir: string
  clusterDir: string
  binDir: string
  account: Account | undefined
  settings: Record<string, string>
  logFile: LogFile
  log: EmbeddedPostgresLog
}

/** The server did not start. The message has PostgreSQL's own reason. */
export class StartError extends Error {
  /** True if a retry may succeed: the port was taken, or processes of an earlier server are still ending. */
  readonly isTransient: boolean
  readonly isPortTaken: boolean
  /** One line: PostgreSQL's last FATAL line, if there is one. */
  readonly reason: string

  constructor (symptom: string, logTail: string) {
    const reason = logTail.split('\n').filter((line) => /\b(FATAL|PANIC):/.test(line)).at(-1) ?? symptom
    super(`the embedded PostgreSQL did not start: ${reason}\n--- the end of postgres.log ---\n${logTail}`)
    this.reason = reason
    this.isPortTaken = /could not create any TCP\/IP sockets/.test(logTail)
    this.isTransient = this.isPortTaken ||
      /lock file "postmaster\.pid" already exists|pre-existing shared memory block/.test(logTail)
  }
}

/**
 * One server process, from start to end. It leads its own session, so that a Ctrl-C in the terminal does not reach it
 * before the platform has closed its connections. It does not keep our event loop alive.
 */
export class Postmaster {
  readonly #child: ChildProcess
  readonly #log: EmbeddedPostgresLog
  #exit: { code: number | null, signal: string | null } | undefined
  #stopping: Promise<void> | undefined
  #onExit: ((code: number | null, signal: string | null) => void) | undefined

  private constructor (child: ChildProcess, log: EmbeddedPostgresLog) {
    this.#child = child
    this.#log = log
    child.once('exit', (code, signal) => {
      this.#exit = { code, signal }
      this.#tellExit()
    })
    // If a signal cannot be sent, endServer detects that the process still runs.
    child.on('error', () => {})
    child.unref()
  }

  /**
   * Starts a server and resolves when it accepts clients. Throws StartError, and then leaves no process. `stalePid` is
   * the pid in a stale `postmaster.pid`.
   */
  static async start (options: PostmasterOptions, port: number, stalePid: number | undefined): Promise<Postmaster> {
    const postmaster = await Postmaster.#launch(options, port, stalePid)
    try {
      await postmaster.#becomesReady(options)
      return postmaster
    } catch (error) {
      await postmaster.stop()
      throw error
    }
  }

  get pid (): number | undefined {
    return this.#child.pid
  }

  /** Calls `listener` when the process ends unexpectedly, at once if it already has. */
  onExit (listener: (code: number | null, signal: string | null) => void): void {
    this.#onExit = listener
    this.#tellExit()
  }

  /** Stops the server, by force if it takes too long. */
  async stop (): Promise<void> {
    // The pid of our child is not reused before its exit is handled, so a signal cannot reach another process.
    this.#stopping ??= endServer({
      send: (signal) => { this.#child.kill(signal) },
      hasEnded: () => this.#exit !== undefined
    }, this.#log)
    await this.#stopping
  }

  static async #launch (options: PostmasterOptions, port: number, stalePid: number | undefined): Promise<Postmaster> {
    const { dataDir, clusterDir, binDir, account, settings, logFile, log } = options
    const output = await logFile.open()
    try {
      const child = spawn(join(binDir, 'postgres'), ['-D', clusterDir, ...settingArguments(settings, port)], {
        ...(account === undefined ? {} : { uid: account.uid, gid: account.gid }),
        cwd: dataDir,
        detached: true,
        stdio: ['ignore', output.fd, output.fd],
        // PostgreSQL refuses to start if a stale pid file names a live process, except this one. Removing the file
        // would be worse: it also names the shared memory by which a server detects remains of an earlier one.
        env: { ...toolEnvironment(), ...(stalePid === undefined ? {} : { PG_GRANDPARENT_PID: String(stalePid) }) }
      })
      const postmaster = new Postmaster(child, log)
      await once(child, 'spawn')
      return postmaster
    } catch (cause) {
      throw new Error(`the embedded PostgreSQL cannot run (${(cause as Error).message}): set DATABASE_URL`, {
        cause
      })
    } finally {
      await output.close()
    }
  }

  // Reads the pid file, because a connection that comes too early writes a FATAL line to the log.
  async #becomesReady ({ clusterDir, logFile }: PostmasterOptions): Promise<void> {
    const startedAt = performance.now()
    let lastSign = { at: startedAt, logSize: await logFile.size() }
    for (;;) {
      if (this.#exit !== undefined) {
        throw new StartError(`it ended with ${this.#exit.signal ?? `code ${this.#exit.code}`}`, await logFile.tail())
      }
      const file = await readPidFile(clusterDir)
      if (typeof file === 'object' && file.pid === this.pid && file.isReady) return
      const now = performance.now()
      const logSize = await logFile.size()
      if (logSize !== lastSign.logSize) lastSign = { at: now, logSize }
      if (now > Math.min(lastSign.at + silenceMsMax, startedAt + startMsMax)) {
        throw new StartError(`it was not ready after ${Math.round((now - startedAt) / 1000)} s`, await logFile.tail())
      }
      await sleep(5)
    }
  }

  #tellExit (): void {
    if (this.#exit === undefined || this.#stopping !== undefined) return
    this.#onExit?.(this.#exit.code, this.#exit.signal)
  }
}
