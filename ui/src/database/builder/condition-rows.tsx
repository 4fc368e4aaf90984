import { FolderPlus, Plus, X } from 'lucide-react'
import { Button, IconButton } from '../../components/button.tsx'
import { controlLook, Select } from '../../components/field.tsx'
import type { TableColumn } from '../table-names.ts'
import { kindOf, operatorsOf, operatorWord } from './column-kinds.ts'
import { needsValue, noCondition, type Group, type Item, type Row } from './conditions.ts'
import { ValueInput } from './value-input.tsx'

const depthMax = 3

interface GroupRowsProps {
  group: Group
  columns: readonly TableColumn[]
  onChange: (group: Group) => void
  onRemove?: () => void
  depth?: number
  isDisabled?: boolean
}

/** Conditions as rows. All or any of them must hold; groups may be nested. */
export function GroupRows ({ group, columns, onChange, onRemove, depth = 1, isDisabled = false }: GroupRowsProps) {
  const { items, join, isNegated } = group
  const replace = (index: number, item: Item | undefined) =>
    onChange({
      ...group,
      items: items.flatMap((one, i) => (i !== index ? [one] : item === undefined ? [] : [item]))
    })
  const add = (item: Item) => onChange({ ...group, items: [...items, item] })
  return (
    <fieldset
      disabled={isDisabled}
      className={`grid min-w-0 gap-2 ${depth === 1 ? '' : 'border-l-2 border-line pl-2'}`}
    >
      <legend className='sr-only'>{depth === 1 ? 'Conditions' : 'Group of conditions'}</legend>
      {(items.length > 1 || depth > 1 || isNegated) && (
        <div className='flex items-center gap-2'>
          <Select
            aria-label='Which of them must hold'
            className='w-auto!'
            choices={[
              { value: 'and', label: 'All must hold' },
              { value: 'or', label: 'Any must hold' },
              { value: 'not-and', label: 'Not all may hold' },
              { value: 'not-or', label: 'None may hold' }
            ]}
            value={isNegated ? (`not-${join}` as const) : join}
            onChange={value =>
              onChange({ ...group, join: value.endsWith('or') ? 'or' : 'and', isNegated: value.startsWith('not') })}
          />
          {onRemove !== undefined && (
            <IconButton label='Remove the group' icon={<X size={14} />} onClick={onRemove} />
          )}
        </div>
      )}
      {items.map((item, i) =>
        item.kind === 'row'
          ? (
            <ConditionRow
              key={i}
              row={item}
              index={i + 1}
              columns={columns}
              onChange={changed => replace(i, changed)}
              onRemove={() => replace(i, undefined)}
            />
            )
          : (
            <GroupRows
              key={i}
              group={item}
              columns={columns}
              depth={depth + 1}
              onChange={changed => replace(i, changed)}
              onRemove={() => replace(i, undefined)}
            />
            )
      )}
      <div className='flex flex-wrap gap-1'>
        <Button kind='plain' icon={<Plus size={14} aria-hidden />} onClick={() => add(newRow(columns))}>
          Add condition
        </Button>
        {items.length > 0 && depth < depthMax && (
          <Button
            kind='plain'
            icon={<FolderPlus size={14} aria-hidden />}
            onClick={() => add({ ...noCondition, join: 'or', items: [newRow(columns)] })}
          >
            Add group
          </Button>
        )}
      </div>
    </fieldset>
  )
}

const newRow = (columns: readonly TableColumn[]): Row => ({
  kind: 'row',
  column: columns[0]?.name ?? '',
  operator: 'eq',
  value: undefined
})

function ConditionRow ({
  row,
  index,
  columns,
  onChange,
  onRemove
}: {
  row: Row
  index: number
  columns: readonly TableColumn[]
  onChange: (row: Row) => void
  onRemove: () => void
}) {
  const kind = kindOf(columns.find(({ name }) => name === row.column)?.type)
  const isKnown = columns.some(({ name }) => name === row.column)
  return (
    <div role='group' aria-label={`Condition ${index}`} className='flex items-center gap-1 max-sm:flex-wrap'>
      {columns.length === 0
        ? (
          <input
            aria-label='Column'
            className={`${controlLook} w-32! min-w-20 font-mono text-xs`}
            placeholder='column'
            value={row.column}
            onChange={event => onChange({ ...row, column: event.target.value })}
          />
          )
        : (
          <Select
            aria-label='Column'
            className='w-32! min-w-20 font-mono text-xs'
            choices={[
              ...(isKnown
                ? []
                : [{ value: row.column, label: row.column === '' ? 'column' : `${row.column} (unknown)` }]),
              ...columns.map(({ name }) => ({ value: name, label: name }))
            ]}
            value={row.column}
            onChange={column => {
              const next = kindOf(columns.find(({ name }) => name === column)?.type)
              const isOffered = operatorsOf(next, 'eq').includes(row.operator)
              onChange({
                ...row,
                column,
                operator: isOffered ? row.operator : 'eq',
                value: next === kind ? row.value : undefined
              })
            }}
          />
          )}
      <Select
        aria-label='Operator'
        className='w-28! shrink-0'
        choices={operatorsOf(kind, row.operator).map(value => ({ value, label: operatorWord(value, kind) }))}
        value={row.operator}
        onChange={operator => {
          const isList = (name: string) => name === 'in' || name === 'notIn'
          onChange({ ...row, operator, value: isList(operator) === isList(row.operator) ? row.value : undefined })
        }}
      />
      {needsValue(row.operator) && (
        <span className='min-w-20 flex-1'>
          <ValueInput
            kind={kind}
            operator={row.operator}
            value={row.value}
            label='Value'
            onChange={value => onChange({ ...row, value })}
          />
        </span>
      )}
      <IconButton label='Remove the condition' icon={<X size={14} />} onClick={onRemove} />
    </div>
  )
}
