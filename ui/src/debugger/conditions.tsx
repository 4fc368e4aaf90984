import { Check, X } from 'lucide-react'
import { Badge } from '../components/badge.tsx'
import { outcomeWords, type Condition, type Explanation } from './words.ts'

/** An explanation: the sentence that decides, then every condition with the values that were found. */
export function ExplanationView ({ explanation }: { explanation: Explanation }) {
  const { outcome, cause, message, conditions, subscriptions = [] } = explanation
  return (
    <div className='grid gap-3' role='status' aria-label='Explanation'>
      <Verdict outcome={outcome} cause={cause} message={message} />
      <ConditionList conditions={conditions} />
      {subscriptions.length > 0 && (
        <div className='grid gap-2'>
          <h3 className='font-semibold'>Subscriptions of the token's owner</h3>
          {subscriptions.map(one => (
            <details key={one.subscriptionId} className='rounded border border-line'>
              <summary className='px-3 py-1.5'>
                <code className='font-mono text-xs'>{one.subscriptionId}</code>{' '}
                <span className='text-muted'>{one.message}</span>
              </summary>
              <div className='border-t border-line p-3'>
                <ConditionList conditions={one.conditions} />
              </div>
            </details>
          ))}
        </div>
      )}
    </div>
  )
}

function Verdict ({ outcome, cause, message }: Pick<Explanation, 'outcome' | 'cause' | 'message'>) {
  const { tone, word } = outcomeWords[outcome]
  return (
    <div className='grid gap-1'>
      <p className='flex flex-wrap items-center gap-2'>
        <Badge tone={tone}>{word}</Badge>
        {cause !== null && <code className='font-mono text-xs text-muted'>{cause}</code>}
      </p>
      <p className='font-medium break-words'>{message}</p>
    </div>
  )
}

/** Conditions in the order of their checks, each with ✓ or ✗ and the actual values. */
export function ConditionList ({ conditions }: { conditions: readonly Condition[] }) {
  return (
    <ol className='grid gap-2' aria-label='Conditions'>
      {conditions.map((condition, i) => (
        <li key={i} className='grid grid-cols-[16px_minmax(0,1fr)] gap-x-2'>
          {condition.holds
            ? (
              <Check size={15} className='mt-0.5 text-ok' role='img' aria-label='holds' />
              )
            : (
              <X size={15} className='mt-0.5 text-critical' role='img' aria-label='does not hold' />
              )}
          <div className='min-w-0'>
            <p className='break-words'>
              <span className='font-medium'>{condition.condition}</span>{' '}
              <span className='text-muted'>{condition.message}</span>
            </p>
            <Values condition={condition} />
          </div>
        </li>
      ))}
    </ol>
  )
}

function Values ({ condition: { path, operator, wanted, found } }: { condition: Condition }) {
  if (wanted === undefined && found === undefined) return null
  return (
    <p className='flex flex-wrap gap-x-3 font-mono text-xs'>
      {path !== undefined && <span>{path}</span>}
      {wanted !== undefined && (
        <span className='min-w-0 break-all'>
          <span className='text-muted'>expected</span> {operator} {JSON.stringify(wanted)}
        </span>
      )}
      {found !== undefined && (
        <span className='min-w-0 break-all'>
          <span className='text-muted'>found</span> {JSON.stringify(found)}
        </span>
      )}
    </p>
  )
}
