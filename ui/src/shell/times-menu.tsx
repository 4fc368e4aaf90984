import { useObserved } from '../app/observed.ts'
import { timeMode, timeModes } from '../app/preferences.ts'
import { MenuCheck, MenuLabel } from '../components/menu.tsx'

export const timeNames = { relative: 'Relative', local: 'Local', utc: 'UTC', epoch: 'Epoch' }

/** The items that choose how times are shown. */
export function TimesItems () {
  const times = useObserved(timeMode)
  return (
    <>
      <MenuLabel>Times</MenuLabel>
      {timeModes.map(mode => (
        <MenuCheck key={mode} isChecked={mode === times} onChange={() => timeMode.set(mode)}>
          {timeNames[mode]}
        </MenuCheck>
      ))}
    </>
  )
}
