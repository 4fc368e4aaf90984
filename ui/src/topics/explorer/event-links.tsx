import type { RealtimeEvent } from '@realtime-platform/client'
import { Link } from '@tanstack/react-router'
import { Activity, HelpCircle, RotateCcw, Tags } from 'lucide-react'
import { useMay } from '../../app/me.ts'
import { usePageScope } from '../../app/scope.ts'
import { buttonLook } from '../../components/button.tsx'
import { pathLink } from '../path-link.ts'

/** Leads from an event to its trace, to "why not?", to a replay, and to its schema. */
export function EventLinks ({ event: { id, topic, offset, schemaVersion } }: { event: RealtimeEvent }) {
  const scope = usePageScope()
  const may = useMay()
  const look = `${buttonLook()} h-7! px-2!`
  return (
    <nav aria-label='About this event' className='flex flex-wrap gap-1.5'>
      {may('debugger:read') && (
        <>
          <Link {...pathLink(scope, '/debugger/traces/$eventId', { eventId: id })} className={look}>
            <Activity size={13} aria-hidden />
            Trace
          </Link>
          <Link {...pathLink(scope, '/debugger/explain', {}, { topic, offset })} className={look}>
            <HelpCircle size={13} aria-hidden />
            Why not?
          </Link>
        </>
      )}
      {may('debugger:create') && (
        <Link
          {...pathLink(scope, '/debugger/replays/new', {}, { topic, fromOffset: offset, toOffset: offset })}
          className={look}
        >
          <RotateCcw size={13} aria-hidden />
          Replay
        </Link>
      )}
      {schemaVersion !== null && may('schemas:read') && (
        <Link {...pathLink(scope, '/schemas/$topic', { topic }, { version: schemaVersion })} className={look}>
          <Tags size={13} aria-hidden />
          Schema
        </Link>
      )}
    </nav>
  )
}
