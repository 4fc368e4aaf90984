import type { RealtimeError } from '../errors.ts'

const advice: Record<string, string> = {
  CREDENTIAL_INVALID: 'Run "realtime-platform login", or set another REALTIME_TOKEN.',
  CREDENTIAL_MISSING: 'Run "realtime-platform login", or set REALTIME_TOKEN.',
  TOPIC_NOT_FOUND: 'Check its name, the application and the environment.',
  PERMISSION_DENIED: 'Use a credential with that permission.',
  NETWORK: 'Run "realtime-platform doctor" to find out why.',
  DISCONNECTED: 'Run "realtime-platform doctor" to find out why.',
  CONNECTION_LOST: 'Run "realtime-platform doctor" to find out why.',
  ANSWER_INVALID: 'Check the URL: a proxy or another program answers there. "realtime-platform doctor" tells more.'
}

/** Returns what to do about an error, with a space before it, or nothing. */
export function adviceFor ({ code, message: whole, details = [] }: RealtimeError): string {
  const places = details.flatMap(({ path = '', message }) =>
    message === undefined || whole.includes(message) ? [] : [`${path} ${message}`.trim()])
  const hint = advice[code]
  return (places.length === 0 ? '' : ` ${places.join('; ')}.`) + (hint === undefined ? '' : ` ${hint}`)
}
