import { unwrap } from '@realtime-platform/client/admin'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useAction } from '../app/actions.ts'
import { apiFor, scopeKey } from '../app/api.ts'
import { useMay } from '../app/me.ts'
import { useGet, useList } from '../app/queries.ts'
import { usePageScope } from '../app/scope.ts'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { ErrorNote } from '../components/error-note.tsx'
import { SelectField, TextAreaField, TextField } from '../components/field.tsx'
import { JsonView } from '../components/json-view.tsx'
import { Skeleton } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { shortUrl } from '../webhooks/status.ts'
import { ExplanationView } from './conditions.tsx'
import { decodeToken } from './token.ts'
import type { Explanation, Trace } from './words.ts'

/** An event, by its id or by its place in a log. */
export interface ExplainedEvent {
  eventId?: string | undefined
  topic?: string | undefined
  offset?: number | undefined
}

export interface Recipient {
  subscriptionId?: string | undefined
  webhookId?: string | undefined
}

const kinds = [
  { value: 'subscription', label: 'A live subscription' },
  { value: 'webhook', label: 'A webhook' },
  { value: 'token', label: 'The owner of a token' }
] as const
type Kind = (typeof kinds)[number]['value']

/**
 * Explains why somebody got an event or not. `recipient` comes from the URL where the page has it there; `onChoose`
 * stores it there.
 */
export function WhyNot ({
  event,
  trace,
  recipient: given,
  onChoose
}: {
  event: ExplainedEvent
  trace?: Trace | undefined
  recipient?: Recipient
  onChoose?: (recipient: Recipient) => void
}) {
  const [kind, setKind] = useState<Kind>(given?.webhookId === undefined ? 'subscription' : 'webhook')
  const [own, setOwn] = useState<Recipient>({})
  const recipient = given ?? own
  const choose = onChoose ?? setOwn
  return (
    <div className='grid gap-4'>
      <SelectField
        label='Who should have got it'
        choices={kinds}
        value={kind}
        onChange={kind => {
          setKind(kind)
          choose({})
        }}
      />
      {kind === 'token' && <TokenExplanation event={event} />}
      {kind === 'subscription' && (
        <SubscriptionChoice
          event={event}
          trace={trace}
          value={recipient.subscriptionId}
          onChange={subscriptionId => choose({ subscriptionId })}
        />
      )}
      {kind === 'webhook' && (
        <WebhookChoice value={recipient.webhookId} onChange={webhookId => choose({ webhookId })} />
      )}
      {kind !== 'token' && <RecipientExplanation event={event} recipient={recipient} />}
    </div>
  )
}

interface ChoiceProps {
  value: string | undefined
  onChange: (value: string | undefined) => void
}

function SubscriptionChoice ({
  event,
  trace: given,
  value,
  onChange
}: ChoiceProps & { event: ExplainedEvent; trace: Trace | undefined }) {
  const [typed, setTyped] = useState('')
  const eventId = event.eventId ?? ''
  const read = useGet(
    '/api/debugger/traces/{eventId}',
    { path: { eventId } },
    { enabled: given === undefined && eventId !== '' }
  )
  const trace = given ?? read.data
  const live = useLiveSubscriptions(trace)
  const routed = trace?.routed.flatMap(({ subscriptions }) => subscriptions) ?? []
  const choices = [
    ...live.map(({ subscriptionId, subscribedTo }) => ({
      value: subscriptionId,
      label: `${subscribedTo} · ${subscriptionId}`
    })),
    ...routed
      .filter(({ subscriptionId }) => !live.some(one => one.subscriptionId === subscriptionId))
      .map(({ subscriptionId, matched }) => ({
        value: subscriptionId,
        label: `${matched ? 'matched' : 'filtered'} · ${subscriptionId}`
      }))
  ]
  const isListed = choices.some(choice => choice.value === value)
  return (
    <div className='grid gap-2'>
      {choices.length > 0
        ? (
          <SelectField
            label='Subscription'
            choices={[
              { value: '', label: 'Choose a subscription' },
              ...choices,
              ...(value === undefined || isListed ? [] : [{ value, label: value }])
            ]}
            value={value ?? ''}
            onChange={id => onChange(id === '' ? undefined : id)}
          />
          )
        : (
          <p className='text-muted'>No live subscription to the topic is known. Enter the ID of one that has ended:</p>
          )}
      <div className='flex items-end gap-2'>
        <div className='min-w-0 flex-1'>
          <TextField
            label='Subscription ID'
            isOptional
            placeholder='From the answer to subscribe'
            value={typed}
            onChange={event => setTyped(event.target.value)}
            onKeyDown={event => {
              if (event.key === 'Enter' && typed.trim() !== '') onChange(typed.trim())
            }}
          />
        </div>
        <Button disabled={typed.trim() === ''} onClick={() => onChange(typed.trim())}>
          Explain
        </Button>
      </div>
    </div>
  )
}

/** Returns the live subscriptions to the topic of an event, on all nodes. */
function useLiveSubscriptions (trace: Trace | undefined) {
  const scope = usePageScope()
  const { topic = '', event } = trace ?? {}
  const prediction = useQuery({
    queryKey: ['/api/debugger/route', scopeKey(scope), topic, trace?.eventId],
    queryFn: ({ signal }) =>
      unwrap(apiFor(scope).POST('/api/debugger/route', { body: { topic, payload: event?.payload ?? {} }, signal })),
    enabled: event !== undefined
  })
  return prediction.data?.subscriptions ?? []
}

function WebhookChoice ({ value, onChange }: ChoiceProps) {
  const may = useMay()
  const webhooks = useList('/api/webhooks', { query: { limit: 200 } }, { enabled: may('webhooks:read') })
  const choices = (webhooks.items ?? []).map(({ id, url }) => ({ value: id, label: shortUrl(url) }))
  const isListed = choices.some(choice => choice.value === value)
  if (webhooks.items?.length === 0) return <p className='text-muted'>The application has no webhook.</p>
  return (
    <SelectField
      label='Webhook'
      choices={[
        { value: '', label: 'Choose a webhook' },
        ...choices,
        ...(value === undefined || isListed ? [] : [{ value, label: value }])
      ]}
      value={value ?? ''}
      onChange={id => onChange(id === '' ? undefined : id)}
    />
  )
}

function RecipientExplanation ({ event, recipient }: { event: ExplainedEvent; recipient: Recipient }) {
  const scope = usePageScope()
  const { subscriptionId, webhookId } = recipient
  const body = { ...event, subscriptionId, webhookId }
  const hasRecipient = subscriptionId !== undefined || webhookId !== undefined
  const explanation = useQuery({
    queryKey: ['/api/debugger/explain', scopeKey(scope), body],
    queryFn: ({ signal }) => unwrap(apiFor(scope).POST('/api/debugger/explain', { body, signal })),
    enabled: hasRecipient && (event.eventId !== undefined || event.offset !== undefined)
  })
  if (!hasRecipient) return null
  return (
    <div className='grid gap-3 border-t border-line pt-3'>
      {explanation.data !== undefined && <ExplanationView explanation={explanation.data} />}
      {explanation.error !== null && <ErrorNote error={explanation.error} />}
      {explanation.isLoading && <Skeleton lines={4} />}
      <div className='flex items-center text-muted'>
        <CopyAs request={{ method: 'POST', path: '/api/debugger/explain', body }} />
        Copy the request
      </div>
    </div>
  )
}

/** The token stays in the memory of the field. It is sent to be explained, and stored nowhere. */
function TokenExplanation ({ event }: { event: ExplainedEvent }) {
  const [token, setToken] = useState('')
  const [result, setResult] = useState<Explanation>()
  const explain = useAction(
    (api, token: string) => api.POST('/api/debugger/explain', { body: { ...event, token } }),
    { isErrorShown: true, onDone: setResult }
  )
  const decoded = decodeToken(token)
  return (
    <form
      className='grid gap-3'
      onSubmit={submitted => {
        submitted.preventDefault()
        if (token.trim() !== '') explain.mutate(token.trim())
      }}
    >
      <TextAreaField
        label='Token'
        rows={3}
        autoComplete='off'
        spellCheck={false}
        className='font-mono text-xs break-all'
        value={token}
        hint='It is decoded here, sent only to explain, and never stored.'
        onChange={event => setToken(event.target.value)}
      />
      {decoded !== undefined && (
        <div className='grid gap-1'>
          <p className='text-muted'>
            {decoded.subject === undefined ? 'A token without a subject' : `Token of ${decoded.subject}`}
            {decoded.expiresAt !== undefined && (
              <>
                , {decoded.expiresAt < Date.now() ? 'expired' : 'expires'} <Time at={decoded.expiresAt} />
              </>
            )}
          </p>
          <JsonView value={decoded.claims} label='Claims of the token' />
        </div>
      )}
      <Button
        type='submit'
        kind='primary'
        className='justify-self-start'
        disabled={token.trim() === ''}
        isBusy={explain.isPending}
      >
        Explain
      </Button>
      {explain.error !== null && <ErrorNote error={explain.error} />}
      {result !== undefined && explain.error === null && <ExplanationView explanation={result} />}
    </form>
  )
}
