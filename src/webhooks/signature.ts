import { createHmac } from 'node:crypto'

/** The headers of Standard Webhooks: the signature is over `id.timestamp.body`, once for each key. */
export function signatureHeaders (id: string, timestampS: number, body: string, keys: readonly Buffer[]): Record<string, string> {
  const signed = `${id}.${timestampS}.${body}`
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestampS),
    'webhook-signature': keys.map(key => `v1,${createHmac('sha256', key).update(signed).digest('base64')}`).join(' ')
  }
}
