import { useEffect, useState } from 'react'
import { useForm, type FormState } from './form.tsx'

export interface DelayedForm<Values> extends FormState<Values> {
  /** How long the server makes the reader wait for the next attempt, in seconds. */
  waitS: number
}

/** A form whose next attempt waits for the server's `Retry-After`. */
export function useDelayedForm<Values extends object> (
  initial: Values,
  send: (values: Values) => Promise<unknown>
): DelayedForm<Values> {
  const form = useForm(initial, send)
  const { failure } = form
  const [waitS, setWaitS] = useState(0)
  useEffect(() => {
    const end = Date.now() + (failure?.retryAfterMs ?? 0)
    const count = () => setWaitS(Math.max(0, Math.ceil((end - Date.now()) / 1000)))
    count()
    if (failure?.retryAfterMs === undefined) return
    const timer = setInterval(count, 250)
    return () => clearInterval(timer)
  }, [failure])
  return { ...form, waitS, submit: async () => (waitS > 0 ? undefined : await form.submit()) }
}
