import { Eye, Pencil } from 'lucide-react'
import { useGet } from '../app/queries.ts'
import { CopyAs } from '../components/copy-as.tsx'
import { Section } from '../components/page.tsx'
import { Time } from '../components/time.tsx'
import { isObject } from './data.ts'
import { useViewers, type Viewer } from './live-document.ts'

/** The people and programs that view a document now. */
export function Viewers ({ service, id, isEditing = false }: { service: string; id: string; isEditing?: boolean }) {
  const { viewers: members, ownSocketId } = useViewers(service, id, isEditing)
  const params = { service, id }
  // Without the permission to join the channel, the list is read every few seconds.
  const read = useGet(
    '/api/sync/{service}/documents/{id}/presence',
    { path: params },
    { enabled: members === undefined, refetchInterval: members === undefined ? 5000 : false }
  )
  const viewers = members ?? read.data ?? []
  return (
    <Section
      title={`Viewers (${viewers.length})`}
      actions={
        <CopyAs
          request={{ method: 'GET', path: '/api/sync/{service}/documents/{id}/presence', params }}
          code={code(params)}
        />
      }
    >
      {viewers.length === 0
        ? (
          <p className='text-muted'>Nobody views the document.</p>
          )
        : (
          <ul aria-label='Viewers' className='grid gap-1.5'>
            {viewers.slice(0, 50).map(viewer => (
              <ViewerRow key={viewer.socketId} viewer={viewer} isSelf={viewer.socketId === ownSocketId} />
            ))}
            {viewers.length > 50 && <li className='text-muted'>and {viewers.length - 50} more</li>}
          </ul>
          )}
    </Section>
  )
}

function ViewerRow ({ viewer: { userId, state, joinedAt }, isSelf }: { viewer: Viewer; isSelf: boolean }) {
  const isEditing = isObject(state) && state['isEditing'] === true
  const name = isObject(state) && typeof state['name'] === 'string' ? state['name'] : userId
  const Icon = isEditing ? Pencil : Eye
  return (
    <li className='flex items-center gap-2' title={userId}>
      <Icon size={14} className='shrink-0 text-muted' aria-hidden />
      <span className='min-w-0 flex-1 truncate'>
        {name}
        {isSelf && <span className='text-muted'> (you)</span>}
        {isEditing && <span className='text-warning'> edits</span>}
      </span>
      <span className='text-xs text-muted'>
        <Time at={joinedAt} />
      </span>
    </li>
  )
}

const code = ({ service, id }: { service: string; id: string }): string =>
  [
    `const room = client.channel(${JSON.stringify(`doc:${service}:${id}`)})`,
    "await room.join({ name: 'Ada' })",
    'room.subscribe(() => console.log(room.members))'
  ].join('\n')
