import { Dialog as Radix } from 'radix-ui'
import { X } from 'lucide-react'
import { useState, type ReactNode } from 'react'
import { useParams } from '@tanstack/react-router'
import { Button, IconButton } from './button.tsx'
import { TextField } from './field.tsx'

/** A dialog for a short form. It closes by Escape, and returns the focus. */
export function Dialog ({
  title,
  isOpen,
  onClose,
  children,
  width = 'max-w-lg'
}: {
  title: string
  isOpen: boolean
  onClose: () => void
  children: ReactNode
  width?: string
}) {
  return (
    <Radix.Root
      open={isOpen}
      onOpenChange={open => {
        if (!open) onClose()
      }}
    >
      <Radix.Portal>
        <Radix.Overlay className='fixed inset-0 z-40 bg-black/40' />
        <Radix.Content
          aria-describedby={undefined}
          className={`enter fixed top-[12vh] left-1/2 z-50 grid max-h-[80vh] w-[calc(100vw-2rem)] -translate-x-1/2 overflow-auto
            rounded border border-line bg-raised p-4 shadow-over ${width}`}
        >
          <div className='mb-3 flex items-start justify-between gap-4'>
            <Radix.Title className='text-lg font-semibold'>{title}</Radix.Title>
            <Radix.Close asChild>
              <IconButton label='Close' icon={<X size={16} />} className='-mt-1 -mr-1' />
            </Radix.Close>
          </div>
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  )
}

/** The buttons at the end of a dialog or form. */
export const Buttons = ({ children }: { children: ReactNode }) => (
  <div className='flex flex-wrap justify-end gap-2 pt-1'>{children}</div>
)

/**
 * Asks before something is destroyed. In production, the name must be typed. `verb` is the button: "Delete topic".
 */
export function ConfirmDialog ({
  title,
  isOpen,
  onClose,
  onConfirm,
  verb,
  name,
  children,
  isProduction: isTargetProduction,
  isBusy = false
}: {
  title: string
  isOpen: boolean
  onClose: () => void
  onConfirm: () => void
  verb: string
  /** The name of the thing, which is typed in production. */
  name: string
  children: ReactNode
  /** Whether production is changed. Default: whether the page shows production. */
  isProduction?: boolean
  isBusy?: boolean
}) {
  const [typed, setTyped] = useState('')
  const isPageProduction = useParams({ strict: false }).environment === 'production'
  const isProduction = isTargetProduction ?? isPageProduction
  const mayConfirm = !isProduction || typed === name
  const close = () => {
    setTyped('')
    onClose()
  }
  return (
    <Dialog title={title} isOpen={isOpen} onClose={close}>
      <form
        className='grid gap-4'
        onSubmit={event => {
          event.preventDefault()
          if (mayConfirm && !isBusy) onConfirm()
        }}
      >
        <div className='text-muted'>{children}</div>
        {isProduction && (
          <TextField
            label={`This is production. Type “${name}” to confirm`}
            value={typed}
            autoFocus
            onChange={event => setTyped(event.target.value)}
          />
        )}
        <Buttons>
          <Button onClick={close}>Cancel</Button>
          <Button kind='danger' type='submit' disabled={!mayConfirm} isBusy={isBusy} autoFocus={!isProduction}>
            {verb}
          </Button>
        </Buttons>
      </form>
    </Dialog>
  )
}
