import { setTimeout as sleep } from 'node:timers/promises'
import { createTransport, type Transporter } from 'nodemailer'
import type { Metrics } from '../../foundation/observability/metrics.ts'

export interface Mail {
  to: string
  /** For logs and metrics. */
  kind: 'invite' | 'reset' | 'notice'
  subject: string
  /** Inserted after the first line. */
  link?: string
  lines: string[]
}

export interface MailerOptions {
  smtpUrl: string | undefined
  from: string
  log: {
    info (fields: object, message: string): void
    warn (fields: object, message: string): void
    error (fields: object, message: string): void
  }
  metrics: Pick<Metrics, 'mails'>
  /** Delays between attempts. After the last one, the mail is dropped. */
  retryMs?: readonly number[]
}

const defaultRetryMs = [1000, 5000, 30_000, 120_000, 600_000] as const
/** Mails that wait in memory. A dropped mail can be requested again. */
const waitingMax = 1000
const timeoutMs = 10_000

export type Mailer = ReturnType<typeof createMailer>

/**
 * Sends mail by SMTP in the background, so that no request waits for a mail server, and retries if it is unavailable.
 * Without SMTP, links are logged. A mail is kept in memory only, because it contains a token that is stored nowhere
 * else.
 */
export function createMailer ({ smtpUrl, from, log, metrics, retryMs = defaultRetryMs }: MailerOptions) {
  const transport = smtpUrl === undefined
    ? undefined
    : createTransport(
      smtpUrl, { from, connectionTimeout: timeoutMs, greetingTimeout: timeoutMs, socketTimeout: timeoutMs } as object
    )
  const ending = new AbortController()
  const waiting = new Set<Promise<void>>()

  async function deliver (
    transport: Transporter, { to, kind, subject, link, lines: [first = '', ...rest] }: Mail
  ): Promise<void> {
    const text = [first, ...(link === undefined ? [] : ['', link]), '', ...rest].join('\n')
    for (let attempt = 0; ; attempt++) {
      try {
        // A `data:` or `file:` URL in a name or address must not read anything from this machine.
        await transport.sendMail({
          to, subject, text, disableFileAccess: true, disableUrlAccess: true,
          headers: { 'auto-submitted': 'auto-generated' }
        })
        metrics.mails.inc({ kind, outcome: 'sent' })
        return
      } catch (err) {
        const waitMs = retryMs[attempt]
        // A 5xx is permanent (RFC 5321 §4.2.1).
        const isFinal = waitMs === undefined || ((err as { responseCode?: number }).responseCode ?? 0) >= 500 ||
          ending.signal.aborted
        log[isFinal ? 'error' : 'warn'](
          { err: withoutMail(err), kind, attempt: attempt + 1 }, isFinal ? 'mail.given_up' : 'mail.failed'
        )
        if (isFinal) {
          metrics.mails.inc({ kind, outcome: 'failed' })
          return
        }
        await sleep(waitMs, undefined, { signal: ending.signal, ref: false }).catch(() => {})
      }
    }
  }

  return {
    /** Whether SMTP is configured. If not, links are logged. */
    isConfigured: transport !== undefined,

    /** Queues a mail. Never throws. */
    send (mail: Mail): void {
      if (transport === undefined) {
        metrics.mails.inc({ kind: mail.kind, outcome: 'logged' })
        log.info({ kind: mail.kind, to: mail.to, link: mail.link }, 'mail.not_configured')
        return
      }
      if (waiting.size >= waitingMax) {
        metrics.mails.inc({ kind: mail.kind, outcome: 'failed' })
        log.error({ kind: mail.kind }, 'mail.queue_full')
        return
      }
      const work: Promise<void> = deliver(transport, mail).finally(() => waiting.delete(work))
      waiting.add(work)
    },

    /** Tries each waiting mail once more, then drops it. */
    async close (): Promise<void> {
      ending.abort()
      await Promise.all(waiting)
      transport?.close()
    }
  }
}

/** Returns the parts of an error that do not quote the mail. */
function withoutMail (
  error: unknown
): { code?: string | undefined, responseCode?: number | undefined, command?: string | undefined } {
  const { code, responseCode, command } = error as { code?: string, responseCode?: number, command?: string }
  return { code, responseCode, command }
}
