import { useVirtualizer } from '@tanstack/react-virtual'
import { ArrowUp, Pause, Play } from 'lucide-react'
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'react'
import { useMay } from '../app/me.ts'
import { Button } from '../components/button.tsx'
import { DetailPanel, WithPanel } from '../components/detail-panel.tsx'
import { ErrorNote } from '../components/error-note.tsx'
import { exportRows } from '../components/export.ts'
import { JsonView } from '../components/json-view.tsx'
import { formatCount } from '../components/number.ts'
import { Properties } from '../components/properties.tsx'
import { Empty } from '../components/states.tsx'
import { formatTime, Time } from '../components/time.tsx'
import { Broadcast } from './broadcast.tsx'
import type { SeenMessage } from './message-log.ts'
import { useWatch } from './watch.ts'

const rowHeight = 32

/** The messages of the channel while it is watched, the newest first, and the form that sends one. */
export function Messages () {
  const may = useMay()
  const { mode } = useWatch()
  const [opened, setOpened] = useState<SeenMessage | undefined>()
  const close = useCallback(() => setOpened(undefined), [])
  return (
    <WithPanel panel={opened === undefined ? null : <MessagePanel message={opened} onClose={close} />}>
      <div className='flex min-h-0 flex-1 flex-col overflow-auto lg:flex-row'>
        <div className='flex min-h-64 min-w-0 flex-1 flex-col'>
          {mode === undefined ? <NotWatching /> : <MessageList opened={opened} onOpen={setOpened} />}
        </div>
        {may('socket:create') && (
          <div className='shrink-0 border-line max-lg:border-t lg:w-96 lg:overflow-auto lg:border-l'>
            <Broadcast />
          </div>
        )}
      </div>
    </WithPanel>
  )
}

function NotWatching () {
  const may = useMay()
  const { setMode } = useWatch()
  if (!may('events:read')) {
    return (
      <Empty title='Messages are sent to members only'>
        <p>
          None of your roles has the permission <code className='font-mono text-text'>events:read</code> here, which
          watching them requires.
        </p>
      </Empty>
    )
  }
  return (
    <Empty
      title='Messages are sent to members only'
      action={
        <div className='flex flex-wrap justify-center gap-2'>
          <Button kind='primary' onClick={() => setMode('join')}>
            Join and watch
          </Button>
          <Button onClick={() => setMode('log')}>Watch through the log</Button>
        </div>
      }
    >
      <p className='mb-2'>
        Join, and this page becomes a member: the others see you. Messages from before are not kept.
      </p>
      <p>
        Or watch through the topic <code className='font-mono'>socket.message</code>: nobody sees you, but while you
        watch, the platform stores the messages of all channels of this environment in that topic.
      </p>
    </Empty>
  )
}

function MessageList ({
  opened,
  onOpen
}: {
  opened: SeenMessage | undefined
  onOpen: (message: SeenMessage) => void
}) {
  const { name, mode, setMode, messages, membership, error } = useWatch()
  const { shown, waiting, total } = useSyncExternalStore(messages.subscribe, messages.getSnapshot)
  const [isPaused, setPaused] = useState(false)
  const [isAtTop, setAtTop] = useState(true)
  const scroller = useRef<HTMLDivElement>(null)
  useEffect(() => {
    messages.hold(isPaused || !isAtTop)
    return () => messages.hold(false)
  }, [messages, isPaused, isAtTop])
  const virtual = useVirtualizer({
    count: shown.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 8
  })
  const showNew = () => {
    setPaused(false)
    setAtTop(true)
    scroller.current?.scrollTo({ top: 0 })
  }
  const failure = error ?? membership.error
  return (
    <div
      className='flex min-h-0 flex-1 flex-col'
      onKeyDown={event => {
        if (event.key !== ' ' || event.target !== scroller.current) return
        event.preventDefault()
        setPaused(!isPaused)
      }}
    >
      <div className='flex flex-wrap items-center gap-2 border-b border-line px-4 py-2 md:px-6'>
        <Button
          icon={isPaused ? <Play size={14} aria-hidden /> : <Pause size={14} aria-hidden />}
          onClick={() => (isPaused ? showNew() : setPaused(true))}
        >
          {isPaused ? 'Continue' : 'Pause'}
        </Button>
        {waiting > 0 && (
          <Button kind='primary' icon={<ArrowUp size={14} aria-hidden />} onClick={showNew}>
            {formatCount(waiting)} new
          </Button>
        )}
        <span className='text-xs text-muted' role='status'>
          {formatCount(total)} {total === 1 ? 'message' : 'messages'} since you watch
          {mode === 'log' && ', through the log'}
        </span>
        <span className='ml-auto flex gap-2'>
          <Button kind='plain' onClick={() => exportRows(`messages-${name}`, 'ndjson', shown, exported)}>
            Export
          </Button>
          <Button kind='plain' onClick={() => messages.clear()}>
            Clear
          </Button>
          {mode === 'log' && <Button onClick={() => setMode(undefined)}>Stop</Button>}
        </span>
      </div>
      {failure !== undefined && (
        <div className='p-4'>
          <ErrorNote error={failure} />
        </div>
      )}
      {shown.length === 0
        ? (
          <Empty title='No message has arrived yet'>
            <p>Send one with the form, or from a client. They appear here as they arrive.</p>
          </Empty>
          )
        : (
          <div
            ref={scroller}
            tabIndex={0}
            role='region'
            aria-label='Messages'
            className='min-h-0 flex-1 overflow-auto'
            onScroll={event => setAtTop(event.currentTarget.scrollTop < rowHeight / 2)}
          >
            <ul className='relative' style={{ height: virtual.getTotalSize() }}>
              {virtual.getVirtualItems().map(item => {
                const message = shown[item.index]
                return message === undefined
                  ? null
                  : (
                    <li
                      key={message.number}
                      className='absolute inset-x-0'
                      style={{ height: item.size, transform: `translateY(${item.start}px)` }}
                    >
                      <MessageRow
                        message={message}
                        isOpen={message.number === opened?.number}
                        onOpen={() => onOpen(message)}
                      />
                    </li>
                    )
              })}
            </ul>
          </div>
          )}
    </div>
  )
}

function MessageRow ({ message, isOpen, onOpen }: { message: SeenMessage; isOpen: boolean; onOpen: () => void }) {
  const { event, data, from, timestamp } = message
  return (
    <button
      type='button'
      aria-pressed={isOpen}
      className={`grid h-full w-full grid-cols-[6.5rem_8rem_8rem_minmax(0,1fr)] items-center gap-3 border-b
        border-line/60 px-4 text-left hover:bg-hover md:px-6 ${isOpen ? 'bg-selected' : ''}`}
      onClick={onOpen}
    >
      <span className='text-muted'>{formatTime(timestamp, 'local').slice(11)}</span>
      <span className='truncate font-medium'>{event}</span>
      <span className='truncate'>{from.userId}</span>
      <code className='truncate font-mono text-xs text-muted'>{preview(data)}</code>
    </button>
  )
}

const preview = (data: unknown): string => JSON.stringify(data).slice(0, 200)

const exported = [
  { id: 'timestamp', header: 'Time', cell: () => null, value: (message: SeenMessage) => message.timestamp },
  { id: 'event', header: 'Event', cell: () => null, value: (message: SeenMessage) => message.event },
  { id: 'from', header: 'From', cell: () => null, value: (message: SeenMessage) => message.from },
  { id: 'data', header: 'Data', cell: () => null, value: (message: SeenMessage) => message.data }
]

function MessagePanel ({ message, onClose }: { message: SeenMessage; onClose: () => void }) {
  const { event, data, from, timestamp } = message
  return (
    <DetailPanel title={event} onClose={onClose}>
      <div className='grid gap-4'>
        <Properties
          items={[
            ['Sent', <Time key='at' at={timestamp} isExact />],
            ['By', from.userId],
            ['Connection', from.socketId ?? 'over REST']
          ]}
        />
        <JsonView value={data} label='Data' />
      </div>
    </DetailPanel>
  )
}
