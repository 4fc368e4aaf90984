import type { ReactNode } from 'react'
import { useAction } from '../app/actions.ts'
import { useMay } from '../app/me.ts'
import { Button } from '../components/button.tsx'
import { TextAreaField } from '../components/field.tsx'
import { Form, useForm } from '../components/form.tsx'
import { Section } from '../components/page.tsx'
import { Person } from '../components/person.tsx'
import { Time } from '../components/time.tsx'
import type { Deployment } from './words.ts'

interface Happening {
  at: number
  by: string | null
  text: string
  more?: ReactNode
}

/** The history of a deployment with its comments, oldest first. */
export function Activity ({ deployment }: { deployment: Deployment }) {
  const may = useMay()
  return (
    <Section title='Activity'>
      <div className='grid gap-4'>
        <ol className='grid gap-3 border-l border-line pl-4'>
          {happeningsOf(deployment).map(({ at, by, text, more }, i) => (
            <li key={i} className='relative grid gap-0.5'>
              <span className='absolute top-1.5 -left-[1.3rem] size-2 rounded-full bg-control' aria-hidden />
              <p className='text-muted'>
                <span className='text-text'>
                  <Person id={by} />
                </span>{' '}
                {text} · <Time at={at} />
              </p>
              {more}
            </li>
          ))}
        </ol>
        {may('deployments:update') && <CommentForm id={deployment.id} />}
      </div>
    </Section>
  )
}

function happeningsOf (deployment: Deployment): Happening[] {
  const { createdAt, createdBy, appliedAt, appliedBy, rolledBackAt, rolledBackBy } = deployment
  const { rejectedAt, rejectedBy, reason, approvals, comments } = deployment
  const all: Happening[] = [
    { at: createdAt, by: createdBy, text: 'created it' },
    ...approvals.map(({ userId, valid, createdAt }) => ({
      at: createdAt,
      by: userId,
      text: valid ? 'approved it' : 'approved it; the approval has lapsed'
    })),
    ...comments.map(({ text, createdBy, createdAt }) => ({
      at: createdAt,
      by: createdBy,
      text: 'commented',
      more: <p className='rounded border border-line bg-page px-3 py-2 break-words whitespace-pre-wrap'>{text}</p>
    })),
    ...(rejectedAt === null
      ? []
      : [
          {
            at: rejectedAt,
            by: rejectedBy,
            text: rejectedBy === createdBy ? 'withdrew it' : 'rejected it',
            ...(reason !== null && { more: <p className='break-words'>{reason}</p> })
          }
        ]),
    ...(appliedAt === null ? [] : [{ at: appliedAt, by: appliedBy, text: 'applied it' }]),
    ...(rolledBackAt === null ? [] : [{ at: rolledBackAt, by: rolledBackBy, text: 'rolled it back' }])
  ]
  return all.sort((a, b) => a.at - b.at)
}

function CommentForm ({ id }: { id: string }) {
  const comment = useAction(
    (api, body: { text: string }) => api.POST('/api/deployments/{id}/comments', { params: { path: { id } }, body }),
    { invalidates: ['/api/deployments'], isErrorShown: true }
  )
  const form = useForm({ text: '' }, async values => {
    await comment.mutateAsync(values)
    form.set({ text: '' })
  })
  return (
    <Form form={form} fields={['text']} className='grid gap-2'>
      <TextAreaField
        label='Comment'
        value={form.values.text}
        error={form.error('text')}
        rows={2}
        onChange={event => form.set({ text: event.target.value })}
      />
      <Button type='submit' className='justify-self-end' disabled={form.values.text === ''} isBusy={form.isBusy}>
        Comment
      </Button>
    </Form>
  )
}
