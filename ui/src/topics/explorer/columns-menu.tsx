import { Columns3 } from 'lucide-react'
import { Button } from '../../components/button.tsx'
import { Menu, MenuCheck, MenuLabel, MenuSeparator } from '../../components/menu.tsx'
import { envelopeColumns, payloadColumn, pathOfColumn } from './columns.ts'

interface ColumnsMenuProps {
  shown: readonly string[]
  /** Paths that occur in payloads. */
  paths: readonly string[]
  onChange: (shown: string[]) => void
}

/** Chooses the columns: parts of the envelope, and paths into the payload. */
export function ColumnsMenu ({ shown, paths, onChange }: ColumnsMenuProps) {
  const chosen = shown.flatMap(id => pathOfColumn(id) ?? [])
  const offered = [...new Set([...chosen, ...paths])].slice(0, 60)
  const toggle = (id: string, isShown: boolean) =>
    onChange(isShown ? [...shown, id] : shown.filter(known => known !== id))
  return (
    <Menu trigger={<Button icon={<Columns3 size={13} aria-hidden />} className='h-7! px-2!'>Columns</Button>}>
      <MenuLabel>Columns</MenuLabel>
      {envelopeColumns.map(({ id, header }) => (
        <MenuCheck key={id} staysOpen isChecked={shown.includes(id)} onChange={isShown => toggle(id, isShown)}>
          {header}
        </MenuCheck>
      ))}
      <MenuSeparator />
      <MenuLabel>Fields of the payload</MenuLabel>
      {offered.map(path => (
        <MenuCheck
          key={path}
          staysOpen
          isChecked={chosen.includes(path)}
          onChange={isShown => toggle(payloadColumn(path), isShown)}
        >
          <span className='font-mono text-xs'>{path}</span>
        </MenuCheck>
      ))}
    </Menu>
  )
}
