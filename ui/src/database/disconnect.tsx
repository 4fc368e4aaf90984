import { useAction } from '../app/actions.ts'
import { ConfirmDialog } from '../components/dialog.tsx'
import { toFields } from './connection-string.ts'
import type { Connection } from './connection-status.tsx'

/** Asks before the database is disconnected. */
export function Disconnect ({
  connection,
  isOpen,
  onClose
}: {
  connection: Connection
  isOpen: boolean
  onClose: () => void
}) {
  const remove = useAction(api => api.DELETE('/api/database/connection'), {
    invalidates: ['/api/database'],
    done: ({ leftovers }) => {
      const left = leftovers.filter(({ status }) => status !== 'dropped')
      return left.length === 0
        ? 'Database disconnected; its slot and publication were dropped'
        : `Database disconnected. ${left.map(({ message }) => message).join('. ')}`
    },
    onDone: onClose
  })
  const name = toFields(connection.connectionString)?.database ?? connection.slot
  return (
    <ConfirmDialog
      title={`Disconnect ${name}`}
      verb='Disconnect database'
      name={name}
      isOpen={isOpen}
      onClose={onClose}
      isBusy={remove.isPending}
      onConfirm={() => remove.mutate(undefined)}
    >
      Reading stops, and the position is deleted. The platform drops the slot and the publication that it has created.
      Mappings are kept, and make no events until a database is connected again.
    </ConfirmDialog>
  )
}
