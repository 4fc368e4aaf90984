import { Popover } from 'radix-ui'
import { Crosshair } from 'lucide-react'
import { useState } from 'react'
import { Button } from '../../components/button.tsx'
import { TextField } from '../../components/field.tsx'
import { formatCount } from '../../components/number.ts'
import { formatTime } from '../../components/time.tsx'

interface Place {
  at?: number | undefined
  to?: number | undefined
}

interface SeekProps extends Place {
  onSeek: (place: Place) => void
}

/** Goes to an offset or to a time: it is the newest row, and older ones follow. */
export function Seek ({ at, to, onSeek }: SeekProps) {
  const [isOpen, setOpen] = useState(false)
  const label =
    at !== undefined
      ? `from ${formatCount(at)}`
      : to !== undefined
        ? `from ${formatTime(to, 'local').slice(0, 19)}`
        : 'from latest'
  const seek = (place: Place) => {
    setOpen(false)
    onSeek({ at: undefined, to: undefined, ...place })
  }
  return (
    <Popover.Root open={isOpen} onOpenChange={setOpen}>
      <Popover.Trigger asChild>
        <Button icon={<Crosshair size={13} aria-hidden />} className='h-7! px-2!'>{label}</Button>
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content
          align='end'
          sideOffset={4}
          collisionPadding={8}
          aria-label='Go to a place in the log'
          className='enter z-50 grid w-72 gap-3 rounded border border-line bg-raised p-3 shadow-over'
        >
          <SeekForms at={at} to={to} onSeek={seek} />
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  )
}

function SeekForms ({ at, to, onSeek }: SeekProps) {
  const [offset, setOffset] = useState(at === undefined ? '' : String(at))
  const [time, setTime] = useState(to === undefined ? '' : formatTime(to, 'local').slice(0, 19).replace(' ', 'T'))
  return (
    <>
      <form
        className='flex items-end gap-2'
        onSubmit={event => {
          event.preventDefault()
          if (offset !== '') onSeek({ at: Number(offset) })
        }}
      >
        <div className='flex-1'>
          <TextField
            label='Offset'
            type='number'
            min={1}
            autoFocus
            value={offset}
            onChange={event => setOffset(event.target.value)}
          />
        </div>
        <Button type='submit' disabled={offset === ''}>
          Go to offset
        </Button>
      </form>
      <form
        className='grid gap-2'
        onSubmit={event => {
          event.preventDefault()
          if (!Number.isNaN(Date.parse(time))) onSeek({ to: Date.parse(time) })
        }}
      >
        <TextField
          label='Time'
          type='datetime-local'
          step={1}
          value={time}
          hint='Local time. The last event at or before it comes first.'
          onChange={event => setTime(event.target.value)}
        />
        <Button type='submit' disabled={time === ''}>
          Go to time
        </Button>
      </form>
      {(at !== undefined || to !== undefined) && <Button onClick={() => onSeek({})}>Back to the latest event</Button>}
    </>
  )
}
