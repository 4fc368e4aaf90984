import type { DataOf } from '../app/api.ts'
import type { ItemOf } from '../app/queries.ts'
import type { Tone } from '../components/badge.tsx'
import type { DataOfAction } from '../webhooks/types.ts'

export type TraceSummary = ItemOf<DataOf<'/api/debugger/traces'>>
export type Trace = DataOf<'/api/debugger/traces/{eventId}'>
export type Explanation = DataOfAction<'/api/debugger/explain'>
export type Condition = Explanation['conditions'][number]
export type Prediction = DataOfAction<'/api/debugger/route'>
export type Replay = DataOf<'/api/debugger/replays/{id}'>

export const traceStatuses = ['delivered', 'no_subscribers', 'pending', 'rejected', 'failed', 'stored'] as const
export type TraceStatus = (typeof traceStatuses)[number]
export const sources = ['api', 'socket', 'sync', 'database'] as const
export const replayStates = ['pending', 'running', 'done', 'cancelled', 'failed'] as const
export type ReplayState = (typeof replayStates)[number]
export const targets = ['subscribers', 'webhooks', 'all'] as const

interface Words {
  tone: Tone
  word: string
  explanation: string
}

export const statusWords: Record<TraceStatus, Words> = {
  delivered: {
    tone: 'ok',
    word: 'Delivered',
    explanation: 'The event was sent to a socket, or a webhook accepted it.'
  },
  no_subscribers: {
    tone: 'neutral',
    word: 'No subscribers',
    explanation: 'The event is stored, and no live subscription or webhook matched. A client that resumes gets it.'
  },
  pending: {
    tone: 'info',
    word: 'Pending',
    explanation: 'Webhook deliveries are pending, and no other recipient got the event.'
  },
  rejected: {
    tone: 'critical',
    word: 'Rejected',
    explanation: 'The event was rejected by its schema, because of its topic, or by a mapping.'
  },
  failed: {
    tone: 'critical',
    word: 'Failed',
    explanation: 'The event could not be stored, or a webhook delivery is dead.'
  },
  stored: {
    tone: 'neutral',
    word: 'Stored',
    explanation: 'The event is stored. Its recipients are visible only with permission to read the topic.'
  }
}

export const sourceWords: Record<string, string> = {
  api: 'the REST API',
  socket: 'a socket',
  sync: 'a change of a document',
  database: 'a change of a row'
}

export const outcomeWords: Record<Explanation['outcome'], { tone: Tone; word: string }> = {
  delivered: { tone: 'ok', word: 'It arrived' },
  not_delivered: { tone: 'critical', word: 'It did not arrive' },
  pending: { tone: 'info', word: 'It is on its way' },
  unknown: { tone: 'warning', word: 'Unknown' }
}

export const replayTones: Record<string, Tone> = {
  pending: 'info',
  running: 'info',
  done: 'ok',
  cancelled: 'neutral',
  failed: 'critical'
}

export const targetWords: Record<Replay['target'], string> = {
  subscribers: 'Live subscriptions',
  webhooks: 'Webhooks',
  all: 'Live subscriptions and webhooks'
}
