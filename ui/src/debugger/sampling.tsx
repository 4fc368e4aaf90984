import { useState } from 'react'
import { useAction } from '../app/actions.ts'
import { useMay } from '../app/me.ts'
import { useGet } from '../app/queries.ts'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { Buttons, Dialog } from '../components/dialog.tsx'
import { TextField } from '../components/field.tsx'
import { Form, useForm } from '../components/form.tsx'

/** Shows the share of events that is traced. It opens the form that sets it. */
export function SamplingButton () {
  const [isOpen, setOpen] = useState(false)
  const sampling = useGet('/api/debugger/sampling')
  const may = useMay()
  const { data } = sampling
  if (data === undefined) return null
  const label = `Sampling ${percent(data.sample)} %`
  if (!may('debugger:update')) {
    return (
      <span className='text-muted' title='The share of events that is traced'>
        {label}
      </span>
    )
  }
  return (
    <>
      <Button onClick={() => setOpen(true)}>{label}</Button>
      <Dialog title='Sampling' isOpen={isOpen} onClose={() => setOpen(false)}>
        <SamplingForm sample={data.sample} isDefault={data.isDefault} onDone={() => setOpen(false)} />
      </Dialog>
    </>
  )
}

const percent = (share: number): string => String(Math.round(share * 10_000) / 100)

function SamplingForm ({ sample, isDefault, onDone }: { sample: number; isDefault: boolean; onDone: () => void }) {
  const set = useAction((api, sample: number | null) => api.PUT('/api/debugger/sampling', { body: { sample } }), {
    invalidates: ['/api/debugger/sampling'],
    isErrorShown: true,
    done: 'Sampling changed on every node',
    onDone
  })
  const form = useForm({ sample: percent(sample) }, ({ sample }) => set.mutateAsync(Number(sample) / 100))
  return (
    <Form form={form} fields={['sample']}>
      <p className='text-muted'>
        The share of events that is traced in this environment. The decision depends on the ID of the event, so it is
        the same for all steps and on all nodes. Rejected events are always traced.
      </p>
      <TextField
        label='Traced share of events, in %'
        inputMode='decimal'
        autoFocus
        value={form.values.sample}
        error={form.error('sample')}
        hint={isDefault ? 'This is the default of the server (TRACE_SAMPLE).' : 'Set for this environment.'}
        onChange={event => form.set({ sample: event.target.value })}
      />
      <Buttons>
        <CopyAs
          request={{
            method: 'PUT',
            path: '/api/debugger/sampling',
            body: { sample: Number(form.values.sample) / 100 }
          }}
        />
        {!isDefault && (
          <Button isBusy={set.isPending} onClick={() => set.mutate(null)}>
            Restore the default
          </Button>
        )}
        <Button kind='primary' type='submit' isBusy={form.isBusy}>
          Set sampling
        </Button>
      </Buttons>
    </Form>
  )
}
