import { Badge } from '../components/badge.tsx'
import { CodeBlock } from '../components/code.tsx'
import { formatDuration, Time } from '../components/time.tsx'
import { Headers } from './headers.tsx'
import { shortUrl, statusOf, type Attempt } from './status.ts'

/** The attempts of a delivery, newest first. The newest one is open. */
export function AttemptList ({ log }: { log: readonly Attempt[] }) {
  if (log.length === 0) return <p className='text-muted'>No attempt has ended yet.</p>
  return (
    <ol className='grid grid-cols-1 gap-2'>
      {log.map((attempt, i) => (
        <li key={attempt.id}>
          <AttemptDetails attempt={attempt} isOpen={i === 0} />
        </li>
      ))}
    </ol>
  )
}

function AttemptDetails ({ attempt, isOpen }: { attempt: Attempt; isOpen: boolean }) {
  const { tone, word } = statusOf(attempt)
  const { error, responseHeaders: headers, responseBody: body, durationMs } = attempt
  return (
    <details open={isOpen} className='rounded border border-line'>
      <summary className='flex flex-wrap items-center gap-x-2 gap-y-1 px-3 py-1.5 hover:bg-hover'>
        <span className='font-medium'>Attempt {attempt.attempts}</span>
        <Badge tone={attempt.success ? 'ok' : tone === 'ok' ? 'critical' : tone}>{word}</Badge>
        {durationMs !== null && <span className='text-muted'>{formatDuration(durationMs)}</span>}
        <span className='ml-auto text-muted'>
          <Time at={attempt.deliveredAt} />
        </span>
      </summary>
      <div className='grid grid-cols-1 gap-2 border-t border-line p-3'>
        {error !== null && <p className='break-words text-critical'>{error}</p>}
        <p className='text-xs text-muted'>
          To {shortUrl(attempt.url)}, answered <Time at={attempt.deliveredAt} isExact />
        </p>
        {headers !== null && <Headers headers={headers} label='Response headers' />}
        {body !== null && <CodeBlock label='Response body, first kilobyte' text={body} />}
        {headers === null && body === null && <p className='text-muted'>There was no response.</p>}
      </div>
    </details>
  )
}
