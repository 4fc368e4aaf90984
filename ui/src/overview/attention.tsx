import { Link } from '@tanstack/react-router'
import { CircleCheck } from 'lucide-react'
import { severityTones } from '../alerts/words.ts'
import { Badge } from '../components/badge.tsx'
import { Section } from '../components/page.tsx'
import { Skeleton } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import type { Problem } from './problems.ts'

const shownMax = 8

/** Shows the present problems, the most urgent first, or that all is good. */
export function Attention ({ problems }: { problems: readonly Problem[] | undefined }) {
  if (problems === undefined) {
    return (
      <Section title='Now'>
        <Skeleton lines={2} />
      </Section>
    )
  }
  if (problems.length === 0) {
    return (
      <p role='status' className='flex items-center gap-2 rounded border border-ok/40 bg-ok-soft px-3 py-2.5'>
        <CircleCheck size={18} className='shrink-0 text-ok' aria-hidden />
        <span>
          <strong className='font-semibold'>All good.</strong> No alert is firing, and every component is ready.
        </span>
      </p>
    )
  }
  return (
    <Section
      title={`${problems.length} ${problems.length === 1 ? 'problem needs' : 'problems need'} attention`}
      isPlain
    >
      <ul>
        {problems.slice(0, shownMax).map(problem => (
          <Row key={problem.key} problem={problem} />
        ))}
      </ul>
      {problems.length > shownMax && (
        <p className='border-t border-line px-3 py-1.5 text-muted'>
          and {problems.length - shownMax} less urgent ones
        </p>
      )}
    </Section>
  )
}

function Row ({
  problem: { severity, title, note, since, isAcknowledged = false, link, cause }
}: {
  problem: Problem
}) {
  return (
    <li className='flex flex-wrap items-center gap-x-3 gap-y-1 border-b border-line/60 px-3 py-2 last:border-0'>
      <span className='w-20 shrink-0'>
        <Badge tone={severityTones[severity]}>{severity}</Badge>
      </span>
      <div className='min-w-48 flex-1'>
        {link === undefined
          ? (
            <span className='font-medium break-words'>{title}</span>
            )
          : (
            <Link {...link} className='font-medium break-words hover:underline'>
              {title}
            </Link>
            )}
        {note !== undefined && <p className='text-xs break-words text-muted'>{note}</p>}
      </div>
      {isAcknowledged && <Badge tone='neutral'>acknowledged</Badge>}
      {cause !== undefined && (
        <Link {...cause.link} className='text-accent hover:underline'>
          {cause.label}
        </Link>
      )}
      {since !== undefined && (
        <span className='w-24 text-right text-xs text-muted'>
          <Time at={since} />
        </span>
      )}
    </li>
  )
}
