import { useNavigate } from '@tanstack/react-router'
import { useEffect, useRef } from 'react'
import { useMe } from '../app/me.ts'
import { useScope } from '../app/scope.ts'
import { navigationFor } from './navigation.ts'

/** How long the second key of a sequence such as `g t` is waited for. */
const sequenceMs = 1500

interface Shortcuts {
  onSearch: () => void
  onHelp: () => void
  /** Whether something lies over the page that takes the keys. */
  isOff: boolean
}

/** Opens pages by `g` and a key, the palette by Ctrl K or ⌘K, and the list of shortcuts by `?`. */
export function useShortcuts ({ onSearch, onHelp, isOff }: Shortcuts): void {
  const navigate = useNavigate()
  const me = useMe()
  const scope = useScope()
  const startedAt = useRef(-Infinity)
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      const key = event.key.toLowerCase()
      if (event.metaKey || event.ctrlKey) {
        if (key !== 'k' || event.altKey || event.shiftKey) return
        event.preventDefault()
        onSearch()
        return
      }
      if (isOff || event.altKey || isBusy(event.target)) return
      const isSecond = event.timeStamp - startedAt.current < sequenceMs
      startedAt.current = key === 'g' && !isSecond ? event.timeStamp : -Infinity
      if (isSecond) {
        const items = navigationFor(me, scope).flatMap(section => section.items)
        const item = items.find(item => item.key === key)
        if (item === undefined) return
        // The list of the page has another use for some of the keys.
        event.preventDefault()
        event.stopImmediatePropagation()
        void navigate(item.linkIn(scope))
      } else if (event.key === '?') {
        event.preventDefault()
        onHelp()
      }
    }
    addEventListener('keydown', onKeyDown, { capture: true })
    return () => removeEventListener('keydown', onKeyDown, { capture: true })
  }, [me, scope, navigate, onSearch, onHelp, isOff])
}

/** Whether keys are text, or belong to a dialog or a menu. */
const isBusy = (target: EventTarget | null): boolean =>
  (target instanceof HTMLElement &&
    (target.isContentEditable || target.closest('input, textarea, select, [role="menu"]') !== null)) ||
  document.querySelector('[role="dialog"], [role="alertdialog"]') !== null
