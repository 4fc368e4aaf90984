import { Outlet, useNavigate, useRouterState } from '@tanstack/react-router'
import { clsx } from 'clsx'
import { lazy, Suspense, useCallback, useEffect, useRef, useState } from 'react'
import { useObserved } from '../app/observed.ts'
import { useScope } from '../app/scope.ts'
import { session } from '../app/session.ts'
import { queryClient } from '../app/query-client.ts'
import { Rail } from './rail.tsx'
import { useShortcuts } from './shortcuts.ts'
import { TopBar } from './top-bar.tsx'

const loadPalette = async () => ({ default: (await import('./palette.tsx')).Palette })
const Palette = lazy(loadPalette)
const ShortcutsDialog = lazy(async () => ({ default: (await import('./shortcuts-dialog.tsx')).ShortcutsDialog }))

const stripes = { development: 'bg-development', staging: 'bg-staging', production: 'bg-production' }

/** The frame of every page of a session: the bar above, the rail at the left. */
export function Shell () {
  const [over, setOver] = useState<'palette' | 'shortcuts' | null>(null)
  const [isRailOpen, setRailOpen] = useState(false)
  const scope = useScope()
  const token = useObserved(session)
  const navigate = useNavigate()
  const href = useRouterState({ select: state => state.location.href })
  const here = useRef(href)
  useEffect(() => {
    here.current = href
  }, [href])
  useEffect(() => {
    setRailOpen(false)
  }, [href])
  useEffect(() => {
    if (token !== null) return
    queryClient.clear()
    void navigate({ to: '/login', search: { returnTo: here.current } })
  }, [token, navigate])
  const onSearch = useCallback(() => setOver(over => (over === 'palette' ? null : 'palette')), [])
  const onHelp = useCallback(() => setOver('shortcuts'), [])
  const onClose = useCallback(() => setOver(null), [])
  useShortcuts({ onSearch, onHelp, isOff: over !== null })
  // The palette is loaded early, so that it takes what is typed right after its shortcut.
  useEffect(() => {
    void loadPalette()
  }, [])
  if (token === null) return null
  return (
    <div className='flex h-full flex-col'>
      <a href='#content' className='sr-only focus:not-sr-only focus:absolute focus:z-50 focus:bg-raised focus:p-2'>
        Skip to the content
      </a>
      <TopBar onSearch={onSearch} onHelp={onHelp} onMenu={() => setRailOpen(isOpen => !isOpen)} />
      <div className={clsx('h-[3px] shrink-0', scope === null ? 'bg-line' : stripes[scope.environment])} />
      <div className='relative flex min-h-0 flex-1'>
        <Rail isOpen={isRailOpen} onClose={() => setRailOpen(false)} />
        <main
          id='content'
          tabIndex={-1}
          className='min-w-0 flex-1 overflow-auto outline-none'
          data-scroll-restoration-id='content'
        >
          <Outlet />
        </main>
      </div>
      <Suspense fallback={null}>
        {over === 'palette' && <Palette onClose={onClose} />}
        {over === 'shortcuts' && <ShortcutsDialog onClose={onClose} />}
      </Suspense>
    </div>
  )
}
