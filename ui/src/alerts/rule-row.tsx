import { Checkbox, SelectField, TextField } from '../components/field.tsx'
import { formatBytes, formatCount } from '../components/number.ts'
import type { RuleValues } from './rule-values.ts'
import { formatAmount, severities, wordsOf, type AlertRule, type Unit } from './words.ts'

/** One rule of the form: whether it is enabled, its severity, its threshold within the limits, and its time. */
export function RuleRow ({
  rule: { rule, description, unit, thresholdMin, thresholdMax },
  values,
  isChanged,
  errors,
  onChange
}: {
  rule: AlertRule
  values: RuleValues
  isChanged: boolean
  errors: { threshold: string | undefined; forSeconds: string | undefined }
  onChange: (change: Partial<RuleValues>) => void
}) {
  const { enabled, severity, threshold, forSeconds } = values
  const name = wordsOf(rule)
  return (
    <li
      className={`grid gap-x-6 gap-y-2 border-b border-line px-3 py-3 lg:grid-cols-[minmax(0,1fr)_33rem] ${
        isChanged ? 'shadow-[inset_2px_0_0_var(--accent)]' : ''
      }`}
    >
      <Checkbox
        label={<span className='font-medium'>{name}</span>}
        hint={<span className='text-sm text-muted'>{description}</span>}
        checked={enabled}
        onChange={event => onChange({ enabled: event.target.checked })}
      />
      <div className='grid items-start gap-x-3 gap-y-2 sm:grid-cols-[8rem_minmax(0,1fr)_9rem]'>
        <SelectField
          label='Severity'
          aria-label={`Severity of ${name}`}
          value={severity}
          choices={severities.map(value => ({ value, label: value }))}
          onChange={severity => onChange({ severity })}
        />
        {thresholdMin === null || thresholdMax === null
          ? (
            <div className='text-muted max-sm:hidden'>
              <p className='font-medium'>Threshold</p>
              <p className='mt-1 leading-8'>none</p>
            </div>
            )
          : (
            <TextField
              label={unit === null ? 'Threshold' : `Threshold, ${unit}`}
              aria-label={`Threshold of ${name}${unit === null ? '' : `, ${unit}`}`}
              inputMode='decimal'
              className='text-right'
              value={threshold}
              error={errors.threshold}
              hint={hintOf(threshold, thresholdMin, thresholdMax, unit)}
              onChange={event => onChange({ threshold: event.target.value })}
            />
            )}
        <TextField
          label='For, seconds'
          aria-label={`Seconds for which ${name} must hold`}
          inputMode='numeric'
          className='text-right'
          value={forSeconds}
          error={errors.forSeconds}
          hint={forSeconds === '0' ? 'Fires at once' : undefined}
          onChange={event => onChange({ forSeconds: event.target.value })}
        />
      </div>
    </li>
  )
}

/** The limits, and the value in a unit that can be read. */
function hintOf (text: string, min: number, max: number, unit: Unit): string {
  const limits =
    unit === 'bytes' ? `${formatBytes(min)} to ${formatBytes(max)}` : `${formatCount(min)} to ${formatCount(max)}`
  const value = Number(text)
  const isReadable = (unit === 'bytes' || unit === 'seconds') && text.trim() !== '' && Number.isFinite(value)
  return isReadable ? `${formatAmount(value, unit)} · ${limits}` : limits
}
