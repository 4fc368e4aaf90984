import { align, decimal, type Decimal, leastCommonMultiple, nextUp, scaleTo, toNumber } from '../decimal.ts'
import type { Literal } from './formula.ts'
import { type Models, noModels, type Questions } from './models.ts'

const triesMax = 400

/** Finds numbers that satisfy all literals. Tries every number of a small interval. */
export function solveNumber (literals: readonly Literal[], want: number, solver: Questions): Models {
  const [low, high] = interval(literals)
  if (low > high) return noModels
  const step = commonStep(literals)
  if (
    step !== undefined &&
    literals.some(literal => literal.kind === 'multiple' && literal.negated && divides(literal.of, step))
  ) return noModels
  const found = new Set<number>()
  const fits = (value: number): boolean =>
    value >= low && value <= high && literals.every(literal => solver.holds(literal, value))
  const { candidates, isAll } = step === undefined ? between(low, high) : multiples(step, low, high)
  for (const value of candidates) {
    solver.tick()
    if (Number.isFinite(value) && fits(value)) found.add(value)
    if (found.size >= want) return { values: [...found], exhausted: false }
  }
  return { values: [...found], exhausted: isAll, ...isAll ? {} : { reason: 'numbers' as const } }
}

/** Returns the closed interval of doubles that the bounds leave. */
function interval (literals: readonly Literal[]): [number, number] {
  let low = -Number.MAX_VALUE
  let high = Number.MAX_VALUE
  for (const literal of literals) {
    if (literal.kind === 'min') low = Math.max(low, literal.exclusive ? nextUp(literal.value) : literal.value)
    if (literal.kind === 'max') high = Math.min(high, literal.exclusive ? -nextUp(-literal.value) : literal.value)
  }
  return [low, high]
}

function commonStep (literals: readonly Literal[]): Decimal | undefined {
  return literals.reduce<Decimal | undefined>((step, literal) => {
    if (literal.kind !== 'multiple' || literal.negated) return step
    return step === undefined ? decimal(literal.of) : leastCommonMultiple(step, decimal(literal.of))
  }, undefined)
}

function divides (divisor: number, step: Decimal): boolean {
  const [a, b] = align(step, decimal(divisor))
  return a % b === 0n
}

interface Candidates { candidates: Iterable<number>, isAll: boolean }

/** Yields multiples of the step, outwards from zero or from the bound nearest to zero. */
function multiples (step: Decimal, low: number, high: number): Candidates {
  const first = quotient(low, step, true)
  const last = quotient(high, step, false)
  const start = first > 0n ? first : last < 0n ? last : 0n
  const count = last - first + 1n
  const isAll = count <= BigInt(triesMax)
  return { isAll, candidates: walk() }

  function * walk (): Generator<number> {
    for (let i = 0n; i < BigInt(triesMax); i++) {
      for (const factor of i === 0n ? [start] : [start + i, start - i]) {
        if (factor >= first && factor <= last) yield toNumber({ digits: factor * step.digits, exponent: step.exponent })
      }
    }
    for (let power = 10n; power < 10n ** 18n; power *= 10n) {
      for (const factor of [start + power, start - power, start + power + 1n, start - power - 1n]) {
        if (factor >= first && factor <= last) yield toNumber({ digits: factor * step.digits, exponent: step.exponent })
      }
    }
  }
}

/** Returns the first (or last) factor whose multiple of the step is not below (or above) the bound. */
function quotient (bound: number, step: Decimal, isLow: boolean): bigint {
  const value = decimal(bound)
  const exponent = Math.min(value.exponent, step.exponent)
  const [a, b] = [scaleTo(value, exponent), scaleTo(step, exponent)]
  const floor = a / b - (a % b < 0n ? 1n : 0n)
  return isLow && floor * b !== a ? floor + 1n : floor
}

function between (low: number, high: number): Candidates {
  const largest = Math.max(Math.abs(low), Math.abs(high))
  if (largest > 1e-300 && high / 2 - low / 2 > largest * 1e-12) return { isAll: false, candidates: spread(low, high) }
  const every: number[] = []
  for (let value = low; value <= high && every.length <= triesMax; value = nextUp(value)) every.push(value)
  if (every.length <= triesMax) return { candidates: every, isAll: true }
  return { isAll: false, candidates: spread(low, high) }
}

function * spread (low: number, high: number): Generator<number> {
  const near = Math.min(Math.max(0, low), high)
  for (let i = 0; i < 40; i++) yield * [Math.ceil(near) + i, Math.floor(near) - i]
  yield * [0.5, -0.5, 0.25, 1.5, -1.5, 0.1, 1 / 3, Math.PI, 1e-7, 1e21 + 2e5]
  yield * [low, high, nextUp(low), -nextUp(-high), low / 2 + high / 2]
  const width = Math.min(high - near, near - low > 0 && high - near === 0 ? near - low : high - near, 1e6)
  for (let i = 1; i < triesMax; i++) yield * [near + width * i / triesMax, near + i / 7, near - i / 7]
  for (let power = 1; power < 308; power++) {
    yield * [near + 10 ** power + 0.5, near - 10 ** power - 0.5, 10 ** power, -(10 ** power)]
  }
}
