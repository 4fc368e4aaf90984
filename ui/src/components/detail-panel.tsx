import { X } from 'lucide-react'
import { useEffect, useRef, useState, type ReactNode } from 'react'
import { recall, remember } from '../app/preferences.ts'
import { IconButton } from './button.tsx'

const widthMin = 320

/** Lays a list and the details of one of its rows side by side. The details have a permalink, and close by Escape. */
export function WithPanel ({ children, panel }: { children: ReactNode; panel: ReactNode | null }) {
  return (
    <div className='flex min-h-0 flex-1'>
      <div className={`flex min-h-0 min-w-0 flex-1 flex-col ${panel === null ? '' : 'max-md:hidden'}`}>
        {children}
      </div>
      {panel}
    </div>
  )
}

export function DetailPanel ({
  title,
  actions,
  onClose,
  children
}: {
  title: ReactNode
  actions?: ReactNode
  onClose: () => void
  children: ReactNode
}) {
  const [width, setWidth] = useState(() => Number(recall('panel')) || 480)
  const frame = useRef<HTMLElement>(null)
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (
        event.key === 'Escape' &&
        !event.defaultPrevented &&
        document.querySelector('[role="dialog"], [role="menu"]') === null
      ) { onClose() }
    }
    addEventListener('keydown', onKeyDown)
    return () => removeEventListener('keydown', onKeyDown)
  }, [onClose])
  const resize = (next: number) => {
    const clamped = Math.round(Math.min(Math.max(next, widthMin), innerWidth * 0.7))
    setWidth(clamped)
    remember('panel', clamped)
  }
  return (
    <aside
      ref={frame}
      aria-label='Details'
      className='relative flex min-h-0 flex-col border-l border-line bg-surface max-md:w-full! max-md:flex-1'
      style={{ width }}
    >
      <div
        role='separator'
        aria-orientation='vertical'
        aria-label='Width of the details'
        tabIndex={0}
        aria-valuenow={width}
        aria-valuemin={widthMin}
        aria-valuemax={2000}
        className='absolute inset-y-0 -left-1 z-10 w-2 cursor-col-resize hover:bg-accent/30 max-md:hidden'
        onKeyDown={event => {
          if (event.key === 'ArrowLeft') resize(width + 32)
          if (event.key === 'ArrowRight') resize(width - 32)
        }}
        onPointerDown={event => {
          const { currentTarget, pointerId } = event
          currentTarget.setPointerCapture(pointerId)
          const right = frame.current?.getBoundingClientRect().right ?? innerWidth
          currentTarget.onpointermove = move => resize(right - move.clientX)
          currentTarget.onpointerup = () => {
            currentTarget.onpointermove = null
          }
        }}
      />
      <div className='flex items-center justify-between gap-2 border-b border-line px-4 py-2'>
        <h2 className='min-w-0 truncate font-semibold'>{title}</h2>
        <div className='flex items-center gap-1'>
          {actions}
          <IconButton label='Close' icon={<X size={16} />} onClick={onClose} />
        </div>
      </div>
      <div className='min-h-0 flex-1 overflow-auto p-4'>{children}</div>
    </aside>
  )
}
