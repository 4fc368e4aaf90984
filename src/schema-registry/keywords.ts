import type { FuncKeywordDefinition } from 'ajv'
import { isMultipleOf } from './decimal.ts'
import { canonical } from './json.ts'

/**
 * The keywords that the registry does not leave to Ajv. Ajv compares values pair by pair (`uniqueItems` takes quadratic
 * time), calls `valueOf` and `toString` of a payload that has properties of these names, refuses an empty `enum`, and
 * divides in floating point.
 */
export const KEYWORDS: readonly FuncKeywordDefinition[] = [
  {
    keyword: 'multipleOf',
    type: 'number',
    schemaType: 'number',
    compile: (divisor: number) => (value: number) => isMultipleOf(value, divisor),
    error: { message: (cxt) => `must be multiple of ${String(cxt.schema)}` }
  },
  {
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    compile: (unique: boolean) => unique ? hasUniqueItems : () => true,
    error: { message: 'must NOT have duplicate items' }
  },
  { keyword: 'enum', schemaType: 'array', compile: isOneOf, error: { message: 'must be equal to one of the allowed values' } },
  { keyword: 'const', compile: (value: unknown) => isOneOf([value]), error: { message: 'must be equal to constant' } }
]

export function hasUniqueItems (items: unknown[]): boolean {
  return new Set(items.map(canonical)).size === items.length
}

function isOneOf (values: unknown[]): (value: unknown) => boolean {
  const simple = new Set(values.filter((value) => typeof value !== 'object' || value === null))
  const structured = values.filter((value) => typeof value === 'object' && value !== null)
  if (structured.length === 0) return (value) => simple.has(value)
  const texts = new Set(structured.map(canonical))
  return (value) => typeof value === 'object' && value !== null ? texts.has(canonical(value)) : simple.has(value)
}

/** The name of the keyword that `Fuel` counts by. It cannot be written in a schema: unknown keywords are left out. */
export const FUEL = 'x-fuel'

/** Evaluations that one validation may take: some 50 to 100 ms. */
const EVALUATIONS_MAX = 200_000

export class FuelError extends Error {}

/** Stops a validation whose cost explodes: a recursive schema may double its work with every level of the payload. */
export class Fuel {
  #left = EVALUATIONS_MAX

  refill (): void {
    this.#left = EVALUATIONS_MAX
  }

  readonly keyword: FuncKeywordDefinition = {
    keyword: FUEL,
    schemaType: 'boolean',
    compile: () => () => {
      this.burn()
      return true
    }
  }

  burn (): void {
    if (--this.#left < 0) throw new FuelError('the payload takes too long to check against its schema')
  }
}
