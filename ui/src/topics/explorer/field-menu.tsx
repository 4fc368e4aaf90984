import { Menu, MenuCheck, MenuItem, MenuLabel } from '../../components/menu.tsx'

interface FieldMenuProps {
  name: string
  path: string
  value: unknown
  /** Whether the field is a column. */
  isShown: boolean
  onColumn: (path: string, isShown: boolean) => void
  onFilter: (path: string, value: unknown) => void
}

/** The name of a field of the payload, with what can be done with it. */
export function FieldMenu ({ name, path, value, isShown, onColumn, onFilter }: FieldMenuProps) {
  return (
    <Menu
      align='start'
      trigger={
        <button type='button' className='rounded-sm text-info hover:bg-hover hover:underline'>
          {JSON.stringify(name)}
        </button>
      }
    >
      <MenuLabel>{path}</MenuLabel>
      <MenuCheck isChecked={isShown} onChange={isShown => onColumn(path, isShown)}>
        Show as a column
      </MenuCheck>
      <MenuItem onSelect={() => onFilter(path, value)}>Show only events with this value</MenuItem>
      <MenuItem
        onSelect={() => {
          void navigator.clipboard.writeText(path)
        }}
      >
        Copy the path
      </MenuItem>
    </Menu>
  )
}
