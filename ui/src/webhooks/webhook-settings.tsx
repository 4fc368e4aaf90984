import { useAction } from '../app/actions.ts'
import { useMay } from '../app/me.ts'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { Buttons } from '../components/dialog.tsx'
import { Form, useForm } from '../components/form.tsx'
import { webhookSettingsRoute } from './routes.ts'
import type { Webhook } from './status.ts'
import { bodyOf, fieldNames, valuesOf, WebhookFields, type WebhookValues } from './webhook-fields.tsx'
import { WebhookFrame } from './webhook-frame.tsx'
import { WebhookProperties } from './webhook-properties.tsx'

/** Edits a webhook. Without permission, its settings are shown. */
export function WebhookSettingsPage () {
  const { id } = webhookSettingsRoute.useParams()
  const may = useMay()
  return (
    <WebhookFrame id={id}>
      {webhook =>
        may('webhooks:update')
          ? (
            <SettingsForm key={webhook.updatedAt} webhook={webhook} />
            )
          : (
            <WebhookProperties webhook={webhook} />
            )}
    </WebhookFrame>
  )
}

function SettingsForm ({ webhook }: { webhook: Webhook }) {
  const { id } = webhook
  const initial = valuesOf(webhook)
  const update = useAction(
    (api, values: WebhookValues) =>
      api.PATCH('/api/webhooks/{id}', { params: { path: { id } }, body: changesOf(initial, values) }),
    { invalidates: ['/api/webhooks'], isErrorShown: true, done: 'Settings saved' }
  )
  const form = useForm(initial, values => update.mutateAsync(values), { mayLeave: false })
  return (
    <Form form={form} fields={fieldNames} className='grid max-w-2xl gap-4'>
      <WebhookFields form={form} />
      <Buttons>
        <CopyAs
          request={{
            method: 'PATCH',
            path: '/api/webhooks/{id}',
            params: { id },
            body: safeChanges(initial, form.values)
          }}
        />
        <Button kind='primary' type='submit' isBusy={form.isBusy} disabled={!form.isChanged}>
          Save settings
        </Button>
      </Buttons>
    </Form>
  )
}

/** Returns the fields that differ, so that a description can be changed without the right to read the topics. */
function changesOf (before: WebhookValues, after: WebhookValues) {
  const [old, next] = [bodyOf(before), bodyOf(after)]
  const changed = Object.entries(next).filter(
    ([name, value]) => JSON.stringify(value) !== JSON.stringify(old[name as keyof typeof old])
  )
  return Object.fromEntries(changed) as Partial<typeof next>
}

function safeChanges (before: WebhookValues, after: WebhookValues) {
  try {
    return changesOf(before, after)
  } catch {
    return changesOf(before, { ...after, filter: before.filter })
  }
}
