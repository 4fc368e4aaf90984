import type { RealtimeError } from '@realtime-platform/client'
import { unwrap, type AdminClient, type DataOf } from '@realtime-platform/client/admin'
import { useMutation, type UseMutationResult } from '@tanstack/react-query'
import { showToast } from '../components/toast.tsx'
import { apiFor, type Scope } from './api.ts'
import { invalidate } from './queries.ts'
import { useScope } from './scope.ts'

interface ActionOptions<Result, Input> {
  /** Beginnings of paths that are read again after success. */
  invalidates?: readonly string[]
  /** A short sentence in the past tense: "Topic deleted". */
  done?: string | ((result: Result, input: Input) => string)
  onDone?: (result: Result, input: Input) => unknown
  /** Whether the caller shows the error itself, for example at the fields of a form. Default: it is a toast. */
  isErrorShown?: boolean
  scope?: Scope | null
}

interface Answer {
  data?: unknown
  error?: unknown
  response: Response
}

/**
 * A write: `const remove = useAction((api, name: string) => api.DELETE('/api/topics/{name}', …), { … })`, then
 * `remove.mutate(name)`. A refusal is shown as a toast with its code, unless the caller shows it.
 */
export function useAction<Input, Result extends Answer> (
  call: (api: AdminClient, input: Input) => Promise<Result>,
  { invalidates = [], done, onDone, isErrorShown = false, scope }: ActionOptions<DataOf<Result>, Input> = {}
): UseMutationResult<DataOf<Result>, RealtimeError, Input> {
  const pageScope = useScope()
  return useMutation({
    mutationFn: (input: Input) => unwrap(call(apiFor(scope === undefined ? pageScope : scope), input)),
    async onSuccess (result, input) {
      if (done !== undefined) showToast({ text: typeof done === 'string' ? done : done(result, input) })
      await Promise.all([invalidate(...invalidates), onDone?.(result, input)])
    },
    onError (error) {
      if (!isErrorShown) showToast({ text: error.message, error })
    }
  })
}
