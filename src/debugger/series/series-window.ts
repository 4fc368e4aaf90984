import { minuteSeconds, quarterSeconds } from '../../../schemas/metric-series.ts'
import { ValidationError } from '../../errors.ts'
import { invalid } from '../../foundation/json.ts'
import { minutesSince } from './roll-up.ts'

export const pointsMax = 1500
const pointsWanted = 300
/** Steps that a person would choose, in seconds. */
const usualSteps = [60, 300, 900, 3600, 10_800, 21_600, 86_400]
const daySeconds = 86_400
const defaultRangeMs = 3_600_000
/** A minute counts as complete this long after its end: the nodes have stored it by then. */
const settleMs = 10_000

export interface WindowQuery { from?: number | undefined, to?: number | undefined, step?: number | undefined }

/** The points of a series: their step, and the time that they cover. */
export interface Window {
  stepMs: number
  /** The time of the first point: a multiple of the step. */
  from: number
  /** The end of the last point: a multiple of the step. */
  to: number
  /** The end of the last complete minute. The last point covers the time up to it. */
  completeTo: number
}

const floorTo = (time: number, stepMs: number) => Math.floor(time / stepMs) * stepMs
const ceilTo = (time: number, stepMs: number) => Math.ceil(time / stepMs) * stepMs

/**
 * Returns the points that a request means. Points begin at multiples of their step, cover `from` and `to`, and end
 * before the current minute. Throws ValidationError `VALIDATION_FAILED` or `SERIES_TOO_LONG`.
 */
export function windowOf (query: WindowQuery, now: number): Window {
  const to = query.to ?? now
  const from = query.from ?? Math.max(0, to - defaultRangeMs)
  if (from >= to) throw invalid('/from', `must be before the end of the series, which is ${to}`)
  const completeTo = floorTo(now - settleMs, minuteSeconds * 1000)
  const end = Math.min(to, completeTo)
  const smallest = from < minutesSince(now) ? quarterSeconds : minuteSeconds
  const countOf = (step: number) =>
    Math.max(0, ceilTo(end, step * 1000) - floorTo(from, step * 1000)) / (step * 1000)
  const wanted = query.step ?? usualStep(step => step >= smallest && countOf(step) <= pointsWanted, end - from)
  const stepSeconds = ceilTo(wanted, smallest)
  const count = countOf(stepSeconds)
  if (count > pointsMax) throw tooLong(count, stepSeconds, ceilTo((end - from) / 1000 / (pointsMax - 1), smallest))
  const first = floorTo(from, stepSeconds * 1000)
  return { stepMs: stepSeconds * 1000, from: first, to: first + count * stepSeconds * 1000, completeTo }
}

function usualStep (isEnough: (step: number) => boolean, rangeMs: number): number {
  return usualSteps.find(isEnough) ?? ceilTo(rangeMs / 1000 / (pointsWanted - 1), daySeconds)
}

function tooLong (count: number, stepSeconds: number, enough: number): ValidationError {
  return new ValidationError(
    'SERIES_TOO_LONG',
    `The series would have ${count} points, one in ${stepSeconds} s, and at most ${pointsMax} are returned. Choose a ` +
      `step of at least ${enough}, or a later \`from\``,
    { details: [{ path: '/step', message: `must be at least ${enough} for this range`, minimum: enough }] }
  )
}
