import { useAction } from '../app/actions.ts'
import type { DataOf } from '../app/api.ts'
import { useMe, mayIn } from '../app/me.ts'
import { useGlobal } from '../app/queries.ts'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { Buttons } from '../components/dialog.tsx'
import { TextField } from '../components/field.tsx'
import { Form, useForm } from '../components/form.tsx'
import { formatBytes, formatCount } from '../components/number.ts'
import { Section } from '../components/page.tsx'
import { Loaded } from '../components/states.tsx'
import { applicationRoute } from './routes.ts'

type QuotaSet = DataOf<'/api/applications/{id}/quotas'>
type Name = keyof QuotaSet

const quotas: readonly { name: Name; label: string; hint: string }[] = [
  { name: 'publishesPerSecond', label: 'Events per second', hint: 'Published events, and writes to documents.' },
  { name: 'bytesStored', label: 'Bytes stored', hint: 'Payloads, differences and metadata in the log.' },
  { name: 'sockets', label: 'Sockets', hint: 'Open at once.' },
  { name: 'subscriptions', label: 'Subscriptions', hint: 'All sockets together.' },
  { name: 'webhooks', label: 'Webhooks', hint: 'In all environments.' },
  { name: 'documents', label: 'Documents', hint: 'In all environments, without deleted ones.' }
]

/** The limits of an application, and how much of each is used. */
export function Quotas () {
  const { id } = applicationRoute.useParams()
  const set = useGlobal('/api/applications/{id}/quotas', { path: { id } })
  const usage = useGlobal('/api/applications/{id}/usage', { path: { id }, query: { by: 'hour' } }).data?.at(-1)
  return (
    <Section title='Quotas' className='max-w-3xl'>
      <Loaded query={set}>
        {current => <QuotaForm key={JSON.stringify(current)} id={id} current={current} usage={usage} />}
      </Loaded>
    </Section>
  )
}

type UsagePeriod = DataOf<'/api/applications/{id}/usage'>[number]

function QuotaForm ({ id, current, usage }: { id: string; current: QuotaSet; usage: UsagePeriod | undefined }) {
  const me = useMe()
  // The permission is required for all applications, so that a tenant cannot lift its own quotas.
  const mayChange = me !== undefined && mayIn(me, null, 'applications:update')
  const change = useAction(
    (api, body: QuotaSet) => api.PUT('/api/applications/{id}/quotas', { params: { path: { id } }, body }),
    { invalidates: ['/api/applications'], isErrorShown: true, done: 'Quotas saved', scope: null }
  )
  const form = useForm(textsOf(current), values => change.mutateAsync(numbersOf(values)), { mayLeave: false })
  const { values, set, error } = form
  return (
    <Form form={form} fields={quotas.map(({ name }) => name)}>
      <p className='text-muted'>
        An empty field means no limit. Requests beyond a quota are refused with <code>429 QUOTA_EXCEEDED</code>;
        existing data stays.
      </p>
      <div className='grid gap-4 sm:grid-cols-2'>
        {quotas.map(({ name, label, hint }) => (
          <div key={name} className='grid content-start gap-1'>
            <TextField
              label={label}
              type='number'
              min={0}
              placeholder='no limit'
              value={values[name]}
              error={error(name)}
              hint={hint}
              disabled={!mayChange}
              onChange={event => set({ [name]: event.target.value })}
            />
            <Used name={name} usage={usage} limit={current[name]} />
          </div>
        ))}
      </div>
      {mayChange
        ? (
          <Buttons>
            <CopyAs
              request={{
                method: 'PUT',
                path: '/api/applications/{id}/quotas',
                params: { id },
                body: numbersOf(values)
              }}
            />
            <Button kind='primary' type='submit' isBusy={form.isBusy} disabled={!form.isChanged}>
              Save quotas
            </Button>
          </Buttons>
          )
        : (
          <p className='text-muted'>Only users who may change every application can set quotas.</p>
          )}
    </Form>
  )
}

/** The usage of a quota that was last measured, as a bar where there is a limit. */
function Used ({ name, usage, limit }: { name: Name; usage: UsagePeriod | undefined; limit: number | null }) {
  const used = usage === undefined ? undefined : usedOf(usage)[name]
  if (used === undefined) return null
  const share = limit === null ? undefined : limit === 0 ? 1 : Math.min(used / limit, 1)
  const text = name === 'bytesStored' ? formatBytes(used) : formatCount(used)
  return (
    <div className='text-xs text-muted'>
      {share !== undefined && (
        <div className='h-1 rounded-full bg-hover'>
          <div
            className={`h-1 rounded-full ${share > 0.9 ? 'bg-critical' : share > 0.75 ? 'bg-warning' : 'bg-accent'}`}
            style={{ width: `${share * 100}%` }}
          />
        </div>
      )}
      {text} used{share !== undefined && `, ${Math.round(share * 100)} %`}
    </div>
  )
}

const usedOf = (period: UsagePeriod): Partial<Record<Name, number>> => ({
  bytesStored: period.bytesStored,
  sockets: period.socketsPeak,
  subscriptions: period.subscriptionsPeak,
  webhooks: period.webhooks,
  documents: period.documents
})

const textsOf = (set: QuotaSet): Record<Name, string> => ({
  publishesPerSecond: textOf(set.publishesPerSecond),
  bytesStored: textOf(set.bytesStored),
  sockets: textOf(set.sockets),
  subscriptions: textOf(set.subscriptions),
  webhooks: textOf(set.webhooks),
  documents: textOf(set.documents)
})
const textOf = (value: number | null): string => (value === null ? '' : String(value))

const numbersOf = (texts: Record<Name, string>): QuotaSet => ({
  publishesPerSecond: numberOf(texts.publishesPerSecond),
  bytesStored: numberOf(texts.bytesStored),
  sockets: numberOf(texts.sockets),
  subscriptions: numberOf(texts.subscriptions),
  webhooks: numberOf(texts.webhooks),
  documents: numberOf(texts.documents)
})
const numberOf = (text: string): number | null => (text.trim() === '' ? null : Number(text))
