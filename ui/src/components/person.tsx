import { useMay, useMe } from '../app/me.ts'
import { useGlobal } from '../app/queries.ts'
import { Code } from './code.tsx'

/** The name of a user, "you", or the id of an API key or the subject of a token. */
export function Person ({ id }: { id: string | null | undefined }) {
  const me = useMe()
  const may = useMay()
  const isOther = id !== null && id !== undefined && id.startsWith('usr_') && me !== undefined && id !== me.user?.id
  const user = useGlobal(
    '/api/users/{id}',
    { path: { id: id ?? '' } },
    { enabled: isOther && may('users:read'), staleTime: 300_000 }
  ).data
  if (id === null || id === undefined) return <span className='text-muted'>–</span>
  if (id === me?.user?.id) return <span title={me.user.email}>you</span>
  return user === undefined ? <Code>{id}</Code> : <span title={`${user.email} · ${id}`}>{user.name}</span>
}
