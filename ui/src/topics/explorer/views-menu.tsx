import { Bookmark } from 'lucide-react'
import { useState } from 'react'
import { Button } from '../../components/button.tsx'
import { Buttons, Dialog } from '../../components/dialog.tsx'
import { TextField } from '../../components/field.tsx'
import { Menu, MenuCheck, MenuItem, MenuLabel, MenuSeparator } from '../../components/menu.tsx'
import type { View } from './views.ts'
import { useViews } from './views.ts'

interface ViewsMenuProps {
  topic: string
  current: Omit<View, 'name'>
  onApply: (view: View) => void
}

/** Saves what is shown under a name, and shows it again. */
export function ViewsMenu ({ topic, current, onApply }: ViewsMenuProps) {
  const { views, save, rename, remove } = useViews(topic)
  const [dialog, setDialog] = useState<'save' | 'manage' | null>(null)
  const isCurrent = ({ filter, key, columns }: View) =>
    JSON.stringify([filter, key, columns]) === JSON.stringify([current.filter, current.key, current.columns])
  const shown = views.find(isCurrent)
  return (
    <>
      <Menu trigger={<Button icon={<Bookmark size={13} aria-hidden />} className='h-7! px-2!'>{shown?.name ?? 'Views'}</Button>}>
        <MenuLabel>{views.length === 0 ? 'No view is saved yet' : 'Saved views'}</MenuLabel>
        {views.map(view => (
          <MenuCheck key={view.name} isChecked={view === shown} onChange={() => onApply(view)}>
            {view.name}
          </MenuCheck>
        ))}
        <MenuSeparator />
        <MenuItem onSelect={() => setDialog('save')}>Save this view…</MenuItem>
        {views.length > 0 && <MenuItem onSelect={() => setDialog('manage')}>Rename or delete…</MenuItem>}
      </Menu>
      {dialog === 'save' && (
        <SaveView
          onClose={() => setDialog(null)}
          onSave={name => {
            save({ name, ...current })
            setDialog(null)
          }}
        />
      )}
      {dialog === 'manage' && (
        <ManageViews views={views} onClose={() => setDialog(null)} onRename={rename} onRemove={remove} />
      )}
    </>
  )
}

function SaveView ({ onClose, onSave }: { onClose: () => void; onSave: (name: string) => void }) {
  const [name, setName] = useState('')
  return (
    <Dialog title='Save view' isOpen onClose={onClose} width='max-w-sm'>
      <form
        className='grid gap-4'
        onSubmit={event => {
          event.preventDefault()
          if (name.trim() !== '') onSave(name.trim())
        }}
      >
        <TextField
          label='Name'
          autoFocus
          value={name}
          hint='Keeps the filter, the key and the columns in this browser.'
          onChange={event => setName(event.target.value)}
        />
        <Buttons>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind='primary' type='submit' disabled={name.trim() === ''}>
            Save view
          </Button>
        </Buttons>
      </form>
    </Dialog>
  )
}

interface ManageViewsProps {
  views: readonly View[]
  onClose: () => void
  onRename: (from: string, to: string) => void
  onRemove: (name: string) => void
}

function ManageViews ({ views, onClose, onRename, onRemove }: ManageViewsProps) {
  return (
    <Dialog title='Saved views' isOpen onClose={onClose}>
      <div className='grid gap-3'>
        {views.length === 0 && <p className='text-muted'>No view is saved.</p>}
        {views.map(({ name }) => (
          <ManagedView key={name} name={name} onRename={onRename} onRemove={onRemove} />
        ))}
        <Buttons>
          <Button kind='primary' onClick={onClose}>
            Done
          </Button>
        </Buttons>
      </div>
    </Dialog>
  )
}

function ManagedView ({
  name,
  onRename,
  onRemove
}: { name: string } & Pick<ManageViewsProps, 'onRename' | 'onRemove'>) {
  const [typed, setTyped] = useState(name)
  return (
    <form
      className='flex items-end gap-2'
      onSubmit={event => {
        event.preventDefault()
        if (typed.trim() !== '') onRename(name, typed.trim())
      }}
    >
      <div className='flex-1'>
        <TextField label={`Name of ${name}`} value={typed} onChange={event => setTyped(event.target.value)} />
      </div>
      <Button type='submit' disabled={typed.trim() === '' || typed.trim() === name}>
        Rename
      </Button>
      <Button kind='danger' aria-label={`Delete the view ${name}`} onClick={() => onRemove(name)}>
        Delete
      </Button>
    </form>
  )
}
