import type { components } from '@realtime-platform/client/admin'
import { parseJson } from '../../components/json-editor.tsx'
import { fromWhen, noCondition, toWhen, type Group } from './conditions.ts'

export type Definition = components['schemas']['MappingDefinition']
export type Operation = Definition['events'][number]
export const operations = ['insert', 'update', 'delete'] as const

/** A mapping while it is edited. The condition is kept as rows and as JSON; the JSON counts. */
export interface Draft {
  table: string
  topic: string
  events: readonly Operation[]
  triggerColumns: readonly string[]
  hasPayload: boolean
  payloadText: string
  condition: Group
  whenText: string
}

export const emptyDraft = (table = ''): Draft => ({
  table,
  topic: '',
  events: ['insert', 'update'],
  triggerColumns: [],
  hasPayload: false,
  payloadText: '{\n}',
  condition: noCondition,
  whenText: ''
})

const pretty = (value: unknown): string => JSON.stringify(value, null, 2)

export function toDraft ({ table, topic, events, triggerColumns = [], payload, when }: Definition): Draft {
  return {
    table,
    topic,
    events,
    triggerColumns,
    hasPayload: payload !== undefined,
    payloadText: payload === undefined ? '{\n}' : pretty(payload),
    condition: when === undefined ? noCondition : (readCondition(when) ?? noCondition),
    whenText: when === undefined ? '' : pretty(when)
  }
}

/** Returns the draft with the rows changed, and the JSON with them. */
export function withRows (draft: Draft, condition: Group): Draft {
  const when = toWhen(condition)
  return { ...draft, condition, whenText: when === undefined ? '' : pretty(when) }
}

/** Returns the draft with the JSON changed, and the rows with it if it is a condition. */
export function withWhenText (draft: Draft, whenText: string): Draft {
  if (whenText.trim() === '') return { ...draft, whenText, condition: noCondition }
  const parsed = parseJson(whenText)
  const condition = parsed.problem === undefined ? readCondition(parsed.value) : undefined
  return { ...draft, whenText, ...(condition !== undefined && { condition }) }
}

function readCondition (value: unknown): Group | undefined {
  try {
    const item = fromWhen(value)
    return item.kind === 'group' ? item : { ...noCondition, items: [item] }
  } catch {
    return undefined
  }
}

/** Explains why the rows do not show the JSON; undefined if they do. */
export function whenProblem ({ whenText }: Draft): string | undefined {
  if (whenText.trim() === '') return undefined
  const parsed = parseJson(whenText)
  if (parsed.problem !== undefined) return parsed.problem
  try {
    fromWhen(parsed.value)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

export const payloadProblem = ({ hasPayload, payloadText }: Draft): string | undefined =>
  hasPayload ? parseJson(payloadText).problem : undefined

/** Returns the mapping, or undefined while a part of it is missing or is not JSON. */
export function toDefinition (draft: Draft): Definition | undefined {
  const { table, topic, events, triggerColumns, hasPayload, payloadText, whenText } = draft
  const when = whenText.trim() === '' ? undefined : parseJson(whenText)
  const payload = hasPayload ? parseJson(payloadText) : undefined
  if (table === '' || events.length === 0) return undefined
  if (when?.problem !== undefined || payload?.problem !== undefined) return undefined
  return {
    table,
    topic: topic.trim(),
    events: [...events],
    ...(triggerColumns.length > 0 && { triggerColumns: [...triggerColumns] }),
    ...(payload !== undefined && { payload: payload.value }),
    ...(when !== undefined && { when: when.value as Record<string, unknown> })
  }
}
