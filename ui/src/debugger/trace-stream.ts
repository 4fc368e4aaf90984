import type { Scope } from '../app/api.ts'
import { session } from '../app/session.ts'
import type { TraceSummary } from './words.ts'

/*
 * The stream of traces, as server-sent events. EventSource cannot send a credential in a header, so the stream is read
 * with fetch.
 */

export type StreamMessage =
  { kind: 'open' } | { kind: 'trace'; trace: TraceSummary } | { kind: 'dropped'; events: number; reason: string }

export interface StreamOptions {
  scope: Scope
  query: Record<string, string | undefined>
  signal: AbortSignal
  onMessage: (message: StreamMessage) => void
  onState: (state: 'live' | 'reconnecting') => void
}

const waitMaxMs = 15_000

/** Follows the stream until the signal aborts. A stream that ends is continued after its last message. */
export async function followTraces (options: StreamOptions): Promise<void> {
  const { signal, onState } = options
  let waitMs = 500
  const position = { lastId: '' }
  while (!signal.aborted) {
    try {
      await readOnce(options, position, () => {
        waitMs = 500
        onState('live')
      })
    } catch {
      // A refusal or a lost connection: both are tried again.
    }
    if (signal.aborted) return
    onState('reconnecting')
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, waitMs)
      signal.addEventListener('abort', () => {
        clearTimeout(timer)
        resolve()
      })
    })
    waitMs = Math.min(waitMs * 2, waitMaxMs)
  }
}

async function readOnce (
  { scope, query, signal, onMessage }: StreamOptions,
  position: { lastId: string },
  onOpen: () => void
): Promise<void> {
  const given = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))
  const response = await fetch(`/api/debugger/stream?${new URLSearchParams(given)}`, {
    signal,
    headers: {
      authorization: `Bearer ${session.value}`,
      'x-application-id': scope.applicationId,
      'x-environment': scope.environment,
      ...(position.lastId !== '' && { 'last-event-id': position.lastId })
    }
  })
  if (!response.ok || response.body === null) throw new Error(`The stream was refused with ${response.status}`)
  onOpen()
  onMessage({ kind: 'open' })
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    text += value
    const blocks = text.split('\n\n')
    text = blocks.pop() ?? ''
    for (const block of blocks) {
      const fields = fieldsOf(block)
      if (fields['id'] !== undefined) position.lastId = fields['id']
      const message = messageOf(fields)
      if (message !== undefined) onMessage(message)
    }
  }
}

function fieldsOf (block: string): Record<string, string> {
  return Object.fromEntries(
    block.split('\n').map(line => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon), line.slice(colon + 1).trimStart()]
    })
  )
}

function messageOf ({ event, data }: Record<string, string>): StreamMessage | undefined {
  if (data === undefined) return undefined
  if (event === 'trace') return { kind: 'trace', trace: JSON.parse(data) as TraceSummary }
  if (event === 'dropped') return { kind: 'dropped', ...(JSON.parse(data) as { events: number; reason: string }) }
  return undefined
}
