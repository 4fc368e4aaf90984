import type { DataOfAction } from './types.ts'
import { Send } from 'lucide-react'
import { useState } from 'react'
import { useAction } from '../app/actions.ts'
import { useMay } from '../app/me.ts'
import { Badge } from '../components/badge.tsx'
import { Button } from '../components/button.tsx'
import { CodeBlock } from '../components/code.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { ErrorNote } from '../components/error-note.tsx'
import { formatDuration } from '../components/time.tsx'
import { statusOf } from './status.ts'

type Result = DataOfAction<'/api/webhooks/{id}/test'>

/** Sends a signed example to the endpoint and shows its answer. */
export function TestRequest ({ webhookId }: { webhookId: string }) {
  const may = useMay()
  const [result, setResult] = useState<Result>()
  const test = useAction((api, id: string) => api.POST('/api/webhooks/{id}/test', { params: { path: { id } } }), {
    isErrorShown: true,
    onDone: setResult
  })
  if (!may('webhooks:update')) return <p className='text-muted'>Sending a test requires webhooks:update.</p>
  return (
    <div className='grid gap-3'>
      <div className='flex flex-wrap items-center gap-2'>
        <Button icon={<Send size={14} aria-hidden />} isBusy={test.isPending} onClick={() => test.mutate(webhookId)}>
          Send a test request
        </Button>
        <CopyAs request={{ method: 'POST', path: '/api/webhooks/{id}/test', params: { id: webhookId } }} />
        <span className='text-muted'>Signed as every request, marked as a test, and not retried.</span>
      </div>
      {test.error !== null && <ErrorNote error={test.error} />}
      {result !== undefined && test.error === null && <TestAnswer result={result} />}
    </div>
  )
}

function TestAnswer ({ result }: { result: Result }) {
  const { tone, word } = statusOf(result)
  return (
    <div role='status' className='grid gap-2 rounded border border-line p-3'>
      <p className='flex flex-wrap items-center gap-2'>
        <Badge tone={tone}>{word}</Badge>
        {result.success ? 'The endpoint accepted the test' : result.error}
        {result.durationMs !== null && <span className='text-muted'>{formatDuration(result.durationMs)}</span>}
      </p>
      {result.responseBody !== null && <CodeBlock label='Response body' text={result.responseBody} />}
    </div>
  )
}
