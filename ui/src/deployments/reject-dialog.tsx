import { useAction } from '../app/actions.ts'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { Buttons, Dialog } from '../components/dialog.tsx'
import { TextAreaField } from '../components/field.tsx'
import { Form, useForm } from '../components/form.tsx'

/** Closes a deployment for good, with a reason. */
export function RejectDialog ({
  id,
  isAuthor,
  isOpen,
  onClose
}: {
  id: string
  isAuthor: boolean
  isOpen: boolean
  onClose: () => void
}) {
  const verb = isAuthor ? 'Withdraw deployment' : 'Reject deployment'
  const reject = useAction(
    (api, body: { reason: string }) => api.POST('/api/deployments/{id}/reject', { params: { path: { id } }, body }),
    {
      invalidates: ['/api/deployments'],
      isErrorShown: true,
      done: isAuthor ? 'Deployment withdrawn' : 'Deployment rejected'
    }
  )
  const form = useForm({ reason: '' }, async values => {
    await reject.mutateAsync(values)
    onClose()
  })
  return (
    <Dialog title={verb} isOpen={isOpen} onClose={onClose}>
      <Form form={form} fields={['reason']}>
        <TextAreaField
          label='Reason'
          autoFocus
          value={form.values.reason}
          error={form.error('reason')}
          hint='It cannot be applied or opened again.'
          onChange={event => form.set({ reason: event.target.value })}
        />
        <Buttons>
          <CopyAs
            request={{
              method: 'POST',
              path: '/api/deployments/{id}/reject',
              params: { id },
              body: form.values
            }}
          />
          <Button onClick={onClose}>Cancel</Button>
          <Button kind='danger' type='submit' isBusy={form.isBusy}>
            {verb}
          </Button>
        </Buttons>
      </Form>
    </Dialog>
  )
}
