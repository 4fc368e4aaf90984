import { Badge } from '../components/badge.tsx'
import { formatDuration } from '../components/time.tsx'
import { formatAmount, severityTones, wordsOf, type AlertRule } from './words.ts'

/** The rules for those who may not change them. */
export function RuleTable ({ rules }: { rules: readonly AlertRule[] }) {
  return (
    <ul>
      {rules.map(({ rule, description, enabled, severity, threshold, unit, forSeconds }) => (
        <li
          key={rule}
          className='flex flex-wrap items-start gap-x-6 gap-y-1 border-b border-line px-3 py-2 last:border-0'
        >
          <div className='min-w-64 flex-1'>
            <p className='font-medium'>{wordsOf(rule)}</p>
            <p className='text-muted'>{description}</p>
          </div>
          <div className='flex w-96 max-w-full flex-wrap items-center gap-x-3 gap-y-1'>
            {enabled
              ? (
                <Badge tone={severityTones[severity]}>{severity}</Badge>
                )
              : (
                <Badge tone='neutral'>disabled</Badge>
                )}
            {threshold !== null && <span>at least {formatAmount(threshold, unit)}</span>}
            <span className='text-muted'>
              {forSeconds === 0 ? 'at once' : `after ${formatDuration(forSeconds * 1000)}`}
            </span>
          </div>
        </li>
      ))}
    </ul>
  )
}
