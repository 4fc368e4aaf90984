import type { ReactNode } from 'react'
import { useMe } from '../app/me.ts'
import { useScope } from '../app/scope.ts'
import { Dialog } from '../components/dialog.tsx'
import { isMac } from './mac.ts'
import { navigationFor } from './navigation.ts'

const command = isMac ? '⌘' : 'Ctrl'
const groups: readonly { title: string; keys: readonly (readonly [keys: readonly string[], meaning: string])[] }[] = [
  {
    title: 'Everywhere',
    keys: [
      [[command, 'K'], 'Search'],
      [['?'], 'Show these shortcuts'],
      [['Esc'], 'Close the dialog, menu or details'],
      [[command, 'Enter'], 'Send the form']
    ]
  },
  {
    title: 'Lists',
    keys: [
      [['j'], 'Next row'],
      [['k'], 'Previous row'],
      [['Enter'], 'Open the row'],
      [['x'], 'Select the row'],
      [['e'], 'Next failure'],
      [['/'], 'Filter'],
      [['Space'], 'Pause or continue live events']
    ]
  }
]

/** Lists the keyboard shortcuts, with those of the pages that the role covers. */
export function ShortcutsDialog ({ onClose }: { onClose: () => void }) {
  const items = navigationFor(useMe(), useScope()).flatMap(section => section.items)
  return (
    <Dialog title='Keyboard shortcuts' isOpen onClose={onClose} width='max-w-2xl'>
      <div className='grid gap-x-8 gap-y-4 sm:grid-cols-2'>
        <div className='grid content-start gap-4'>
          {groups.map(({ title, keys }) => (
            <Group key={title} title={title}>
              {keys.map(([keys, meaning]) => (
                <Shortcut key={meaning} keys={keys} meaning={meaning} />
              ))}
            </Group>
          ))}
        </div>
        <Group title='Go to a page'>
          {items.map(({ key, label }) => (
            <Shortcut key={key} keys={['g', key]} meaning={label} />
          ))}
        </Group>
      </div>
    </Dialog>
  )
}

const Group = ({ title, children }: { title: string; children: ReactNode }) => (
  <section>
    <h3 className='mb-1 font-semibold'>{title}</h3>
    <dl className='grid grid-cols-[minmax(0,1fr)_auto] items-center gap-x-4 gap-y-0.5'>{children}</dl>
  </section>
)

const Shortcut = ({ keys, meaning }: { keys: readonly string[]; meaning: string }) => (
  <>
    <dt className='text-muted'>{meaning}</dt>
    <dd className='flex justify-end gap-1'>
      {keys.map(key => (
        <kbd key={key} className='min-w-5 rounded-sm border border-line bg-sunken px-1 text-center font-sans text-xs'>
          {key}
        </kbd>
      ))}
    </dd>
  </>
)
