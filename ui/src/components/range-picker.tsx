import { useState } from 'react'
import { CalendarClock } from 'lucide-react'
import { Button } from './button.tsx'
import { Buttons, Dialog } from './dialog.tsx'
import { TextField } from './field.tsx'
import { Menu, MenuCheck, MenuItem, MenuSeparator } from './menu.tsx'

export const ranges = {
  '15m': ['Last 15 minutes', 900_000],
  '1h': ['Last hour', 3_600_000],
  '6h': ['Last 6 hours', 21_600_000],
  '24h': ['Last 24 hours', 86_400_000],
  '7d': ['Last 7 days', 604_800_000],
  '30d': ['Last 30 days', 2_592_000_000]
} as const

export interface Range {
  range?: keyof typeof ranges | undefined
  from?: number | undefined
  to?: number | undefined
}

/** Returns the times of a range. A range that counts back ends at `now`. */
export function timesOf (range: Range, fallback: keyof typeof ranges, now = Date.now()): { from: number; to: number } {
  if (range.from !== undefined) return { from: range.from, to: range.to ?? now }
  return { from: now - ranges[range.range ?? fallback][1], to: now }
}

/** Picks the range that the charts and lists of a page share. The range is part of the URL. */
export function RangePicker ({
  value,
  fallback = '1h',
  onChange
}: {
  value: Range
  fallback?: keyof typeof ranges
  onChange: (range: Range) => void
}) {
  const [isCustom, setCustom] = useState(false)
  const label =
    value.from === undefined
      ? ranges[value.range ?? fallback][0]
      : `${toWords(value.from)} – ${value.to === undefined ? 'now' : toWords(value.to)}`
  return (
    <>
      <Menu trigger={<Button icon={<CalendarClock size={14} aria-hidden />}>{label}</Button>}>
        {Object.entries(ranges).map(([name, [text]]) => (
          <MenuCheck
            key={name}
            isChecked={value.from === undefined && (value.range ?? fallback) === name}
            onChange={() => onChange({ range: name as keyof typeof ranges, from: undefined, to: undefined })}
          >
            {text}
          </MenuCheck>
        ))}
        <MenuSeparator />
        <MenuItem onSelect={() => setCustom(true)}>Custom…</MenuItem>
      </Menu>
      <CustomRange
        key={String(isCustom)}
        isOpen={isCustom}
        initial={timesOf(value, fallback)}
        onClose={() => setCustom(false)}
        onChange={range => {
          setCustom(false)
          onChange({ range: undefined, ...range })
        }}
      />
    </>
  )
}

function CustomRange ({
  isOpen,
  initial,
  onClose,
  onChange
}: {
  isOpen: boolean
  initial: { from: number; to: number }
  onClose: () => void
  onChange: (times: { from: number; to: number | undefined }) => void
}) {
  const [from, setFrom] = useState(toLocal(initial.from))
  const [to, setTo] = useState(toLocal(initial.to))
  const fromMs = Date.parse(from)
  const toMs = to === '' ? undefined : Date.parse(to)
  const isWrong = Number.isNaN(fromMs) || (toMs !== undefined && !(toMs > fromMs))
  return (
    <Dialog title='Custom range' isOpen={isOpen} onClose={onClose} width='max-w-sm'>
      <form
        className='grid gap-4'
        onSubmit={event => {
          event.preventDefault()
          if (!isWrong) onChange({ from: fromMs, to: toMs })
        }}
      >
        <TextField
          label='From'
          type='datetime-local'
          step={1}
          value={from}
          onChange={event => setFrom(event.target.value)}
        />
        <TextField
          label='To'
          type='datetime-local'
          step={1}
          value={to}
          hint='Local times. Empty: now.'
          error={isWrong ? 'The end must be after the beginning' : undefined}
          onChange={event => setTo(event.target.value)}
        />
        <Buttons>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind='primary' type='submit' disabled={isWrong}>
            Show range
          </Button>
        </Buttons>
      </form>
    </Dialog>
  )
}

/** The local time in the form of `datetime-local`. */
function toLocal (ms: number): string {
  const date = new Date(ms)
  return new Date(ms - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19)
}

const toWords = (ms: number): string => toLocal(ms).replace('T', ' ')
