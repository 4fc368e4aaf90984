import type { DataOf } from '../app/api.ts'
import type { ItemOf } from '../app/queries.ts'
import type { Tone } from '../components/badge.tsx'

export type Webhook = DataOf<'/api/webhooks/{id}'>
export type Delivery = ItemOf<DataOf<'/api/webhooks/deliveries'>>
export type DeliveryDetails = DataOf<'/api/webhooks/deliveries/{id}/details'>
export type Attempt = DeliveryDetails['log'][number]

export const statusClasses = ['2xx', '3xx', '4xx', '5xx', 'none'] as const
export type StatusClass = (typeof statusClasses)[number]

interface Health {
  tone: Tone
  word: string
  /** The meaning, and the next step. */
  explanation: string
}

/** Returns the health of an endpoint: active, failing, paused by its circuit, or disabled and why. */
export function healthOf (webhook: Webhook): Health {
  if (!webhook.active) {
    const reasons = {
      gone: 'The endpoint answered 410 Gone, so the platform disabled it. Enable it when it exists again.',
      failing: 'Every request failed for days, so the platform disabled it. Mend the endpoint, then enable it.'
    }
    const { deactivatedReason: reason } = webhook
    return reason === null
      ? { tone: 'neutral', word: 'Disabled', explanation: 'It receives no new events. Pending deliveries wait.' }
      : { tone: 'critical', word: `Disabled: ${reason}`, explanation: reasons[reason] }
  }
  if (webhook.pausedUntil !== undefined) {
    return {
      tone: 'critical',
      word: 'Circuit open',
      explanation: 'Several requests in a row failed. Sending is paused, then one request tries the endpoint.'
    }
  }
  if (webhook.failingSince !== null) {
    return { tone: 'warning', word: 'Failing', explanation: 'Every request fails.' }
  }
  return { tone: 'ok', word: 'Active', explanation: 'Events are delivered as they happen.' }
}

export const stateTones = { pending: 'info', delivered: 'ok', dead: 'critical' } as const satisfies Record<
  Delivery['state'],
  Tone
>

/** Returns the tone and words of an HTTP status, or of none. */
export function statusOf ({ statusCode }: { statusCode: number | null }): { tone: Tone; word: string } {
  if (statusCode === null) return { tone: 'critical', word: 'No response' }
  return { tone: statusCode < 300 ? 'ok' : statusCode < 500 ? 'warning' : 'critical', word: String(statusCode) }
}

/** The part of a URL that tells endpoints apart: without the scheme. */
export const shortUrl = (url: string): string => url.replace(/^https?:\/\//, '')
