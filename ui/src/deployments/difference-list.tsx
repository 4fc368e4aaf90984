import { ChevronRight } from 'lucide-react'
import { Badge } from '../components/badge.tsx'
import { Button } from '../components/button.tsx'
import { JsonDiff } from '../components/diff-view.tsx'
import { Checkbox } from '../components/field.tsx'
import { Section } from '../components/page.tsx'
import { Empty } from '../components/states.tsx'
import type { Difference, Kind } from './differences.ts'
import { targetOf } from './words.ts'

const groups: readonly (readonly [Kind, string])[] = [
  ['topic', 'Topics'],
  ['schema', 'Schemas'],
  ['mapping', 'Mappings']
]

/** The differences in three groups, each with its diff, to pick from. */
export function DifferenceList ({
  differences,
  source,
  selected,
  onSelect
}: {
  differences: readonly Difference[]
  source: 'development' | 'staging'
  selected: readonly string[]
  onSelect: (keys: string[]) => void
}) {
  if (differences.length === 0) {
    return (
      <Section title='Differences'>
        <Empty title={`${targetOf(source)} has everything that ${source} has`}>
          Topics, schemas and mappings are the same in both environments.
        </Empty>
      </Section>
    )
  }
  const toggle = (difference: Difference, isChecked: boolean) => {
    if (!isChecked) return onSelect(selected.filter(key => key !== difference.key))
    // A schema or mapping is refused unless its topic is in the target, or comes along.
    const topic = differences.find(
      ({ kind, name, isMissing }) => kind === 'topic' && name === difference.topic && isMissing
    )
    onSelect([...new Set([...selected, difference.key, ...(topic === undefined ? [] : [topic.key])])])
  }
  const isAll = differences.every(({ key }) => selected.includes(key))
  return (
    <Section
      title={`${differences.length} ${differences.length === 1 ? 'difference' : 'differences'}`}
      isPlain
      actions={
        <Button kind='plain' onClick={() => onSelect(isAll ? [] : differences.map(({ key }) => key))}>
          {isAll ? 'Pick none' : 'Pick all'}
        </Button>
      }
    >
      {groups.map(([kind, title]) => {
        const members = differences.filter(difference => difference.kind === kind)
        if (members.length === 0) return null
        return (
          <div key={kind}>
            <h3 className='border-b border-line bg-page px-3 py-1 text-xs font-medium text-muted'>{title}</h3>
            <ul>
              {members.map(difference => (
                <Row
                  key={difference.key}
                  difference={difference}
                  target={targetOf(source)}
                  isSelected={selected.includes(difference.key)}
                  onToggle={isChecked => toggle(difference, isChecked)}
                />
              ))}
            </ul>
          </div>
        )
      })}
    </Section>
  )
}

function Row ({
  difference: { label, name, kind, isMissing, before, after },
  target,
  isSelected,
  onToggle
}: {
  difference: Difference
  target: string
  isSelected: boolean
  onToggle: (isChecked: boolean) => void
}) {
  return (
    <li className={`border-b border-line/60 px-3 py-2 ${isSelected ? 'bg-selected/50' : ''}`}>
      <div className='flex flex-wrap items-start justify-between gap-2'>
        <Checkbox
          className='min-w-0'
          label={<span className='font-medium break-all'>{label}</span>}
          hint={kind === 'mapping' ? <code className='font-mono'>{name}</code> : undefined}
          checked={isSelected}
          onChange={event => onToggle(event.target.checked)}
        />
        <Badge tone={isMissing ? 'info' : 'warning'}>{isMissing ? `not in ${target}` : 'differs'}</Badge>
      </div>
      <details className='group ml-6'>
        <summary className='inline-flex list-none items-center gap-1 rounded-sm text-xs text-muted hover:text-text'>
          <ChevronRight size={12} className='group-open:rotate-90' aria-hidden />
          Changes
        </summary>
        <div className='mt-1'>
          <JsonDiff before={before} after={after} label={`Changes of ${label}`} />
        </div>
      </details>
    </li>
  )
}
