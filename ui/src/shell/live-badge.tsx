import { useLiveState } from '../app/live.ts'
import { formatTime } from '../components/time.tsx'
import { useShownClient } from './live-client.ts'

const words = {
  connected: ['live', 'bg-ok'],
  connecting: ['connecting', 'bg-warning'],
  reconnecting: ['reconnecting', 'bg-warning'],
  disconnected: ['disconnected', 'bg-critical']
} as const

/** The state of the connection that all live parts of the page share. */
export function LiveBadge () {
  const client = useShownClient()
  const live = useLiveState(client)
  if (client === null || live === null) return null
  const [word, colour] = words[live.state]
  const since = formatTime(live.since, 'local')
  return (
    <span
      className='inline-flex shrink-0 items-center gap-1.5 px-2 text-muted'
      role='status'
      title={`Since ${since}`}
    >
      <span className={`size-2 rounded-full ${colour}`} aria-hidden />
      <span className={live.state === 'connected' ? 'max-md:sr-only' : ''}>
        {word}
        {live.state === 'reconnecting' && <span className='max-md:sr-only'> since {since.slice(11, 19)}</span>}
      </span>
      {live.state === 'disconnected' && (
        <button
          type='button'
          className='text-accent underline'
          onClick={() => {
            client.connect().catch(() => {})
          }}
        >
          Reconnect
        </button>
      )}
    </span>
  )
}
