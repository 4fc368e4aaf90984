import {
  cloneElement,
  lazy,
  Suspense,
  useRef,
  useState,
  type ButtonHTMLAttributes,
  type KeyboardEvent,
  type ReactElement,
  type ReactNode,
  type Ref
} from 'react'

/* Menus are loaded when the button of one is pointed at or focused, so that the first load stays small. */

const load = () => import('./menu-content.tsx')

const MenuContent = lazy(async () => ({ default: (await load()).MenuContent }))
export const MenuItem = lazy(async () => ({ default: (await load()).MenuItem }))
export const MenuCheck = lazy(async () => ({ default: (await load()).MenuCheck }))
export const MenuLabel = lazy(async () => ({ default: (await load()).MenuLabel }))
export const MenuSeparator = lazy(async () => ({ default: (await load()).MenuSeparator }))

type Trigger = ReactElement<ButtonHTMLAttributes<HTMLButtonElement> & { ref?: Ref<HTMLButtonElement> }>

/** A menu under a button. */
export function Menu ({
  trigger,
  children,
  align = 'end'
}: {
  trigger: Trigger
  children: ReactNode
  align?: 'start' | 'end'
}) {
  const [opened, setOpened] = useState<'pointer' | 'keyboard' | null>(null)
  const button = useRef<HTMLButtonElement>(null)
  const preload = () => {
    void load()
  }
  return (
    <>
      {cloneElement(trigger, {
        ref: button,
        'aria-haspopup': 'menu',
        'aria-expanded': opened !== null,
        onPointerEnter: preload,
        onFocus: preload,
        // A key that clicks counts no clicks.
        onClick: ({ detail }) => setOpened(opened === null ? (detail === 0 ? 'keyboard' : 'pointer') : null),
        onKeyDown (event: KeyboardEvent) {
          if (event.key !== 'ArrowDown') return
          event.preventDefault()
          setOpened('keyboard')
        }
      })}
      {opened !== null && (
        <Suspense fallback={null}>
          <MenuContent
            anchor={button}
            align={align}
            isByKeyboard={opened === 'keyboard'}
            onClose={() => setOpened(null)}
          >
            {children}
          </MenuContent>
        </Suspense>
      )}
    </>
  )
}
