import { useEffect } from 'react'
import { Observed, useObserved } from '../app/observed.ts'
import { timeMode, type TimeMode } from '../app/preferences.ts'

/** The time that relative times count from. It moves every ten seconds while a page shows one. */
const now = new Observed(Date.now())
let followers = 0
let timer: ReturnType<typeof setInterval> | undefined

function useNow (): number {
  useEffect(() => {
    if (followers++ === 0) {
      now.set(Date.now())
      timer = setInterval(() => now.set(Date.now()), 10_000)
    }
    return () => {
      if (--followers === 0) clearInterval(timer)
    }
  }, [])
  return useObserved(now)
}

/** A time in the form that the reader has chosen, with the exact one on hover. `isExact` never shows it as relative. */
export function Time ({ at, isExact = false }: { at: number | string | null | undefined; isExact?: boolean }) {
  const mode = useObserved(timeMode)
  const current = useNow()
  if (at === null || at === undefined) return <span className='text-muted'>–</span>
  const ms = typeof at === 'string' ? Date.parse(at) : at
  const shown = isExact && mode === 'relative' ? 'local' : mode
  return (
    <time
      dateTime={new Date(ms).toISOString()}
      title={`${formatTime(ms, 'local')} · ${formatTime(ms, 'utc')}`}
      className='whitespace-nowrap'
    >
      {formatTime(ms, shown, current)}
    </time>
  )
}

export function formatTime (ms: number, mode: TimeMode, current = Date.now()): string {
  const date = new Date(ms)
  if (mode === 'epoch') return String(ms)
  if (mode === 'utc') return `${date.toISOString().slice(0, 23).replace('T', ' ')}Z`
  if (mode === 'relative') return formatRelative(ms - current)
  return new Date(ms - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 23).replace('T', ' ')
}

const units = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000]
] as const
const words = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'short' })

function formatRelative (differenceMs: number): string {
  if (Math.abs(differenceMs) < 10_000) return 'now'
  const [unit, length] = units.find(([, length]) => Math.abs(differenceMs) >= length) ?? (['second', 1000] as const)
  return words.format(Math.round(differenceMs / length), unit)
}

/** A duration in the unit that fits: `0.2 ms`, `340 ms`, `2.4 s`, `3 min`, `5 h`, `2 d`. */
export function formatDuration (ms: number): string {
  if (ms < 1) return `${ms.toFixed(1)} ms`
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`
  if (ms < 172_800_000) return `${Math.round(ms / 3_600_000)} h`
  return `${Math.round(ms / 86_400_000)} d`
}
