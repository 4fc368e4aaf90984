import { RealtimeError } from '../errors.ts'
import type { RealtimeEvent } from '../protocol/protocol.ts'
import type { TopicName } from '../subscriptions/topic-types.ts'

/*
 * Verifies webhooks by Standard Webhooks (https://www.standardwebhooks.com), as docs/WEBHOOKS.md describes them. It
 * imports nothing of Node, so that it runs at the edge as well.
 */

export type WebhookErrorCode =
  /** A header of the signature is missing. */
  | 'HEADER_MISSING'
  /** `webhook-timestamp` is not a number of seconds. */
  | 'TIMESTAMP_INVALID'
  /** The request was signed too long ago: a replay, or a clock that is wrong. */
  | 'TIMESTAMP_TOO_OLD'
  /** The request was signed in the future: one of the clocks is wrong. */
  | 'TIMESTAMP_TOO_NEW'
  /** No signature matches. The request is not from the platform, the secret is another one, or the body was changed. */
  | 'SIGNATURE_INVALID'
  /** The body that was passed is not the bytes of the request. */
  | 'BODY_NOT_RAW'
  /** The body is signed, but is not an event of the platform. */
  | 'BODY_INVALID'
  /** The secret cannot be used. */
  | 'SECRET_INVALID'
  /** The environment lacks the cryptography that the method needs. */
  | 'CRYPTO_UNAVAILABLE'

/** Why a webhook was not accepted. Respond with 400: the platform retries, and lists the failure among its attempts. */
export class WebhookError extends RealtimeError {
  override name = 'WebhookError'
  declare readonly code: WebhookErrorCode
}

/** The bytes of the request body, or their text. */
export type WebhookBody = string | ArrayBuffer | ArrayBufferView

/** `Headers`, a `Map`, pairs, or an object such as `request.headers` of Node. Names may be in any case. */
export type WebhookHeaders =
  | Iterable<readonly [string, string | readonly string[]]>
  | { readonly [name: string]: string | readonly string[] | undefined }

/** The events of a TopicMap, each with the payload of its topic. Without a TopicMap, payloads are unchecked. */
export type WebhookEvent<TopicMap> = {
  [Name in TopicName<TopicMap>]: RealtimeEvent<TopicMap[Name]> & { topic: Name }
}[TopicName<TopicMap>]

/** The example that `POST /api/webhooks/:id/test` sends. It is in no log. */
export type WebhookTestEvent = RealtimeEvent<{ message: string }> & { topic: 'webhook.test' }

/** A verified webhook. */
export type VerifiedWebhook<TopicMap> = {
  /** Identifies the delivery. A retry has the same id: store it if an event must not be processed twice. */
  id: string
  /** When this attempt was signed, in epoch milliseconds. `event.timestamp` is the time of the event. */
  timestamp: number
} & ({ isTest: false, event: WebhookEvent<TopicMap> } | { isTest: true, event: WebhookTestEvent })

export interface WebhookReceiverOptions {
  /** How far the time of the signature may be from the local clock, in milliseconds. Default: 300,000 (5 minutes). */
  toleranceMs?: number
}

type Bytes = Uint8Array<ArrayBuffer>
interface SignedRequest { id: string, timestamp: number, signatures: string, body: Bytes, signed: Bytes }

/** Verifies webhooks with the secret of the webhook, or with several: a request has to match one of them. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- As in RealtimeClient: without a TopicMap, unchecked.
export class WebhookReceiver<TopicMap = any> {
  readonly #keys: readonly Bytes[]
  readonly #toleranceMs: number

  /** Throws WebhookError `SECRET_INVALID`. */
  constructor (secret: string | readonly string[], { toleranceMs = 300_000 }: WebhookReceiverOptions = {}) {
    this.#keys = (Array.isArray(secret) && secret.length > 0 ? secret : [secret]).map(keyOf)
    this.#toleranceMs = toleranceMs
  }

  /**
   * Returns the event of a request. Throws WebhookError. Uses Node's cryptography (Node 20.16 and later, Bun, Deno);
   * elsewhere, use `verifyAsync`.
   */
  verify (body: WebhookBody, headers: WebhookHeaders): VerifiedWebhook<TopicMap> {
    const request = read(body, headers, this.#toleranceMs)
    const crypto = (globalThis as { process?: NodeProcess }).process?.getBuiltinModule?.('node:crypto')
    if (crypto === undefined) throw unavailable('node:crypto (Node 20.16 or later). Use "await verifyAsync(…)"')
    return accept(request, this.#keys.map(key => crypto.createHmac('sha256', key).update(request.signed).digest()))
  }

  /** As `verify`, with WebCrypto, which every environment has. Rejects with WebhookError. */
  async verifyAsync (body: WebhookBody, headers: WebhookHeaders): Promise<VerifiedWebhook<TopicMap>> {
    const request = read(body, headers, this.#toleranceMs)
    return accept(request, await Promise.all(this.#keys.map(key => sign(key, request.signed))))
  }
}

/**
 * Returns the headers of a signed request, for tests of an endpoint. `timestamp` is in epoch milliseconds.
 */
export async function signWebhook (
  secret: string, body: WebhookBody,
  { id = `dlv_${crypto.randomUUID()}`, timestamp = Date.now() }: { id?: string, timestamp?: number } = {}
): Promise<Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string>> {
  const seconds = `${Math.floor(timestamp / 1000)}`
  const signature = await sign(keyOf(secret), signedBytes(id, seconds, bytesOf(body)))
  return { 'webhook-id': id, 'webhook-timestamp': seconds, 'webhook-signature': `v1,${base64(signature)}` }
}

/** Reads a request, and checks all but its signature. */
function read (given: WebhookBody, headers: WebhookHeaders, toleranceMs: number): SignedRequest {
  const body = bytesOf(given)
  const id = header(headers, 'webhook-id')
  const seconds = header(headers, 'webhook-timestamp')
  const signatures = header(headers, 'webhook-signature')
  if (!/^\d{1,12}$/.test(seconds)) {
    throw refusal('TIMESTAMP_INVALID', 'The header webhook-timestamp is not a number of seconds')
  }
  const timestamp = Number(seconds) * 1000
  const age = Date.now() - timestamp
  // A tolerance that is not a number refuses everything.
  if (!(Math.abs(age) <= toleranceMs)) {
    throw refusal(
      age > 0 ? 'TIMESTAMP_TOO_OLD' : 'TIMESTAMP_TOO_NEW',
      `The signature is ${Math.abs(age)} ms ${age > 0 ? 'old' : 'in the future'}; toleranceMs is ${toleranceMs}. ` +
        'Check the clock of this machine'
    )
  }
  return { id, timestamp, signatures, body, signed: signedBytes(id, seconds, body) }
}

/** Returns the event if one of the signatures is one of those that were expected. */
function accept<TopicMap> (
  { id, timestamp, signatures, body }: SignedRequest, expected: readonly Uint8Array[]
): VerifiedWebhook<TopicMap> {
  const given = signatures.split(/,?\s+/)
  let isValid = false
  for (const digest of expected) {
    const wanted = `v1,${base64(digest)}`
    for (const signature of given) isValid = isEqual(signature, wanted) || isValid
  }
  if (!isValid) {
    throw refusal(
      'SIGNATURE_INVALID',
      'No signature matches. Check the secret, and pass the body byte for byte'
    )
  }
  const event = eventOf(body)
  const isTest = event.topic === 'webhook.test' && event.meta?.['test'] === true
  return { id, timestamp, isTest, event } as VerifiedWebhook<TopicMap>
}

function eventOf (body: Bytes): RealtimeEvent {
  let event
  try {
    event = (JSON.parse(new TextDecoder().decode(body)) as { data?: Partial<RealtimeEvent> } | null)?.data
  } catch {}
  if (typeof event?.topic === 'string' && 'payload' in event) return event as RealtimeEvent
  throw refusal('BODY_INVALID', 'The signed body is not an event')
}

function header (headers: WebhookHeaders, wanted: string): string {
  const pairs = Symbol.iterator in Object(headers)
    ? headers as Iterable<readonly [string, unknown]>
    : Object.entries(Object(headers) as object)
  for (const [name, value] of pairs) {
    if (String(name).toLowerCase() !== wanted) continue
    const text = Array.isArray(value) ? value.join(' ') : value
    if (typeof text === 'string' && text !== '') return text
  }
  throw refusal('HEADER_MISSING', `The header ${wanted} is missing. Pass all headers`)
}

/** Objects may be of another realm, so `instanceof` does not recognize them. */
function bytesOf (body: WebhookBody): Bytes {
  if (typeof body === 'string') return new TextEncoder().encode(body)
  if (ArrayBuffer.isView(body)) return new Uint8Array(body.buffer as ArrayBuffer, body.byteOffset, body.byteLength)
  if (Object.prototype.toString.call(body) === '[object ArrayBuffer]') return new Uint8Array(body)
  throw refusal(
    'BODY_NOT_RAW',
    'The signature covers the bytes of the body: pass them, not an object. Express: ' +
      'express.raw({ type: "*/*" }). Fastify: addContentTypeParser("application/json", { parseAs: "buffer" }, ' +
      '(request, body, done) => done(null, body)). Next.js: await request.text()'
  )
}

function signedBytes (id: string, seconds: string, body: Bytes): Bytes {
  const head = new TextEncoder().encode(`${id}.${seconds}.`)
  const signed = new Uint8Array(head.length + body.length)
  signed.set(head)
  signed.set(body, head.length)
  return signed
}

/** Returns the key of a secret: `whsec_` and base64 of 24 to 64 bytes, or any other text (docs/WEBHOOKS.md). */
function keyOf (secret: string): Bytes {
  const [, encoded] = /^\s*(?:v1,)?whsec_(.*?)\s*$/s.exec(secret) ?? []
  if (encoded === undefined) {
    if (typeof secret !== 'string' || secret === '') throw invalidSecret('is empty')
    if (/^wh[sp]k_/.test(secret)) throw invalidSecret('is an asymmetric key')
    return new TextEncoder().encode(secret)
  }
  try {
    const key = Uint8Array.from(atob(encoded), char => char.charCodeAt(0))
    if (key.length >= 24 && key.length <= 64) return key
  } catch {}
  throw invalidSecret('is incomplete: base64 of 24 to 64 bytes follows whsec_')
}

const refusal = (code: WebhookErrorCode, message: string) => new WebhookError(code, message)

const invalidSecret = (why: string) =>
  refusal('SECRET_INVALID', `The secret ${why}. Pass the one that POST /api/webhooks returned`)

const unavailable = (missing: string) =>
  refusal('CRYPTO_UNAVAILABLE', `This environment has no ${missing}`)

async function sign (key: Bytes, signed: Bytes): Promise<Uint8Array> {
  const { subtle } = globalThis.crypto ?? {}
  if (subtle === undefined) throw unavailable('crypto.subtle')
  const algorithm = { name: 'HMAC', hash: 'SHA-256' }
  return new Uint8Array(
    await subtle.sign('HMAC', await subtle.importKey('raw', key, algorithm, false, ['sign']), signed)
  )
}

const base64 = (bytes: Uint8Array) => btoa(String.fromCharCode(...bytes))

/** Compares in a time that does not depend on where the texts differ. */
function isEqual (a: string, b: string): boolean {
  let difference = a.length ^ b.length
  for (let i = 0; i < b.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i)
  return difference === 0
}

/** The part of Node that `verify` uses. */
interface NodeProcess {
  getBuiltinModule?: (name: 'node:crypto') => {
    createHmac (algorithm: 'sha256', key: Uint8Array): {
      update (data: Uint8Array): { digest (): Uint8Array }
    }
  } | undefined
}
