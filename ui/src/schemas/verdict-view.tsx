import type { components } from '@realtime-platform/client/admin'
import { Check, X } from 'lucide-react'
import { useState } from 'react'
import { Badge } from '../components/badge.tsx'
import { Button } from '../components/button.tsx'
import { CodeBlock } from '../components/code.tsx'
import { ErrorNote } from '../components/error-note.tsx'
import { valueAt } from '../components/json-positions.ts'
import { Section } from '../components/page.tsx'
import { Skeleton } from '../components/states.tsx'
import type { DryRun } from './dry-run.ts'
import type { SchemaVersion } from './frame.tsx'

type Verdict = components['schemas']['CompatibilityVerdict']
type Change = components['schemas']['SchemaChange']

const shownMax = 20

/** Shows whether the schema could be registered, and for each incompatible change the document that proves it. */
export function VerdictView ({
  verdict,
  schema,
  problem,
  versions
}: {
  verdict: DryRun<Verdict>
  schema: SchemaVersion['schema'] | undefined
  problem: string | undefined
  versions: readonly SchemaVersion[]
}) {
  const { data, error, isStale } = verdict
  return (
    <Section title='Compatibility' actions={<State verdict={verdict} problem={problem} />} className='self-start'>
      <div aria-busy={isStale} className='grid gap-4'>
        {problem !== undefined
          ? (
            <p className='text-critical'>{problem}</p>
            )
          : error !== null
            ? (
              <ErrorNote error={error} />
              )
            : data === undefined
              ? (
                <Skeleton lines={4} />
                )
              : (
                <Changes verdict={data} schema={schema} versions={versions} />
                )}
      </div>
    </Section>
  )
}

function State ({
  verdict: { data, error, isStale },
  problem
}: {
  verdict: DryRun<Verdict>
  problem: string | undefined
}) {
  const badge =
    problem !== undefined
      ? { tone: 'critical' as const, text: 'Not JSON' }
      : isStale
        ? { tone: 'neutral' as const, text: 'Checking…' }
        : error !== null
          ? { tone: 'critical' as const, text: error.code === 'SCHEMA_INVALID' ? 'Not a valid schema' : 'No verdict' }
          : data?.compatible === true
            ? { tone: 'ok' as const, text: 'Compatible' }
            : { tone: 'critical' as const, text: 'Incompatible' }
  return (
    <span role='status'>
      <Badge tone={badge.tone}>{badge.text}</Badge>
    </span>
  )
}

function Changes ({
  verdict: { changes, compatible, comparedWith, compatibilityMode },
  schema,
  versions
}: {
  verdict: Verdict
  schema: SchemaVersion['schema'] | undefined
  versions: readonly SchemaVersion[]
}) {
  const [shown, setShown] = useState(shownMax)
  const breaking = changes.filter(change => !change.compatible)
  const others = changes.filter(change => change.compatible)
  const schemaOf = (version: number | undefined) => versions.find(one => one.version === version)?.schema
  return (
    <>
      <p className='text-muted'>
        {comparedWith.length === 0
          ? compatibilityMode === 'none'
            ? 'Versions are not compared in this mode.'
            : 'There is no earlier version to compare with.'
          : `Compared with ${listOf(comparedWith)}. `}
        {comparedWith.length > 0 && changes.length === 0 && 'Nothing that matters for compatibility has changed.'}
        {!compatible && refusal(breaking.length, compatibilityMode)}
      </p>
      <ul className='grid gap-4'>
        {breaking.slice(0, shown).map((change, i) => (
          <li key={i}>
            <IncompatibleChange change={change} before={schemaOf(change.comparedWith)} after={schema} />
          </li>
        ))}
      </ul>
      {breaking.length > shown && (
        <Button className='justify-self-start' onClick={() => setShown(shown + 100)}>
          Show {Math.min(breaking.length - shown, 100)} more
        </Button>
      )}
      {others.length > 0 && (
        <details open={compatible}>
          <summary className='text-muted'>
            {others.length === 1 ? 'One compatible change' : `${others.length} compatible changes`}
          </summary>
          <ul className='mt-2 grid gap-1.5'>
            {others.slice(0, 200).map((change, i) => (
              <li key={i} className='flex flex-wrap items-baseline gap-x-2 break-words'>
                <code className='font-mono text-xs'>{change.path || '/'}</code>
                <span>{change.message}</span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </>
  )
}

const refusal = (count: number, mode: string): string =>
  `${count === 1 ? 'One change is' : `${count} changes are`} not ${mode.replace('_', ' ')} compatible: ` +
  'the version would be refused.'

const listOf = (versions: readonly number[]): string =>
  versions.length === 1
    ? `version ${versions[0]}`
    : versions.length <= 5
      ? `versions ${versions.join(', ')}`
      : `${versions.length} versions`

/** One change, with the document that one of the schemas accepts and the other rejects, and what either says there. */
function IncompatibleChange ({ change, before, after }: { change: Change; before: unknown; after: unknown }) {
  const { path, rule, message, direction, comparedWith = 0, witness, reason } = change
  const isBackward = direction === 'backward'
  const old = { name: `Version ${comparedWith}`, schema: before }
  const next = { name: 'The new schema', schema: after }
  const [accepting, rejecting] = isBackward ? [old, next] : [next, old]
  return (
    <article className='rounded border border-critical/40'>
      <div className='border-b border-line px-3 py-2'>
        <p className='break-words'>{message}</p>
        <p className='flex flex-wrap gap-x-3 text-xs text-muted'>
          <code className='font-mono break-all text-text'>{path || '/'}</code>
          <span>{rule}</span>
          <span>{direction}</span>
        </p>
      </div>
      <div className='grid gap-3 p-3 sm:grid-cols-2'>
        <div className='min-w-0'>
          <h3 className='mb-1 font-medium'>Witness document</h3>
          {'witness' in change
            ? (
              <CodeBlock text={pretty(witness)} />
              )
            : (
              <p className='text-muted'>{reason ?? 'No document was found that shows it.'}</p>
              )}
        </div>
        <div className='grid content-start gap-2'>
          <Side isAccepting name={accepting.name} value={valueAt(accepting.schema, path)} />
          <Side isAccepting={false} name={rejecting.name} value={valueAt(rejecting.schema, path)} />
        </div>
      </div>
    </article>
  )
}

function Side ({ name, value, isAccepting }: { name: string; value: unknown; isAccepting: boolean }) {
  const Icon = isAccepting ? Check : X
  return (
    <div className='min-w-0'>
      <p className={`mb-1 flex items-center gap-1 font-medium ${isAccepting ? 'text-ok' : 'text-critical'}`}>
        <Icon size={14} aria-hidden />
        {name} {isAccepting ? 'accepts it' : 'rejects it'}
      </p>
      {value === undefined
        ? (
          <p className='text-xs text-muted'>declares nothing here</p>
          )
        : (
          <CodeBlock text={pretty(value)} className='max-h-48 overflow-auto' />
          )}
    </div>
  )
}

const pretty = (value: unknown): string => JSON.stringify(value, null, 2)
