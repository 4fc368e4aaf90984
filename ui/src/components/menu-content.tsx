import { DropdownMenu } from 'radix-ui'
import { clsx } from 'clsx'
import { Check } from 'lucide-react'
import { useEffect, useRef, useState, type ReactNode, type RefObject } from 'react'

/** The open menu. It is closed by leaving it out. */
export function MenuContent ({
  anchor,
  align,
  isByKeyboard,
  onClose,
  children
}: {
  /** The button of the menu, which gets the focus back. */
  anchor: RefObject<HTMLElement | null>
  align: 'start' | 'end'
  /** Whether the first item gets the focus. */
  isByKeyboard: boolean
  onClose: () => void
  children: ReactNode
}) {
  const content = useRef<HTMLDivElement>(null)
  const wasLeft = useRef(false)
  const [{ left, top, width, height }] = useState(() => anchor.current?.getBoundingClientRect() ?? new DOMRect())
  useEffect(() => {
    if (!isByKeyboard) return
    // Radix focuses the menu itself first.
    const frame = requestAnimationFrame(() => {
      content.current?.querySelector<HTMLElement>('[role^=menuitem]:not([data-disabled])')?.focus()
    })
    return () => cancelAnimationFrame(frame)
  }, [isByKeyboard])
  return (
    <DropdownMenu.Root
      open
      modal={false}
      onOpenChange={isOpen => {
        if (!isOpen) onClose()
      }}
    >
      <DropdownMenu.Trigger asChild>
        <span aria-hidden className='pointer-events-none fixed' style={{ left, top, width, height }} />
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content
          ref={content}
          align={align}
          sideOffset={4}
          collisionPadding={8}
          aria-labelledby={undefined}
          aria-label={anchor.current?.getAttribute('aria-label') ?? anchor.current?.textContent ?? undefined}
          className='enter z-50 max-h-[70vh] min-w-48 overflow-auto rounded border border-line bg-raised p-1 shadow-over'
          onInteractOutside={event => {
            // The button closes the menu itself.
            if (event.target instanceof Node && anchor.current?.contains(event.target) === true) event.preventDefault()
            else wasLeft.current = true
          }}
          onCloseAutoFocus={event => {
            event.preventDefault()
            if (!wasLeft.current) anchor.current?.focus()
          }}
        >
          {children}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  )
}

const itemLook = clsx(
  'flex min-h-7 cursor-default items-center gap-2 rounded-sm px-2 py-1 outline-none select-none',
  'data-[highlighted]:bg-hover data-[disabled]:opacity-55'
)

export function MenuItem ({
  onSelect,
  children,
  icon,
  isDanger = false,
  disabled = false
}: {
  onSelect: () => void
  children: ReactNode
  icon?: ReactNode
  isDanger?: boolean
  disabled?: boolean
}) {
  return (
    <DropdownMenu.Item
      className={clsx(itemLook, isDanger && 'text-critical')}
      onSelect={onSelect}
      disabled={disabled}
    >
      {icon}
      {children}
    </DropdownMenu.Item>
  )
}

/** An item that can be chosen, or several of which can. The menu stays open if `staysOpen`. */
export function MenuCheck ({
  isChecked,
  onChange,
  children,
  staysOpen = false
}: {
  isChecked: boolean
  onChange: (isChecked: boolean) => void
  children: ReactNode
  staysOpen?: boolean
}) {
  return (
    <DropdownMenu.CheckboxItem
      className={itemLook}
      checked={isChecked}
      onCheckedChange={onChange}
      onSelect={event => {
        if (staysOpen) event.preventDefault()
      }}
    >
      <span className='size-4'>
        <DropdownMenu.ItemIndicator>
          <Check size={14} aria-hidden />
        </DropdownMenu.ItemIndicator>
      </span>
      {children}
    </DropdownMenu.CheckboxItem>
  )
}

export const MenuLabel = ({ children }: { children: ReactNode }) => (
  <DropdownMenu.Label className='px-2 py-1 text-xs text-muted'>{children}</DropdownMenu.Label>
)

export const MenuSeparator = () => <DropdownMenu.Separator className='my-1 h-px bg-line' />
