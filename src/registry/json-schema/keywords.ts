import { _, type FuncKeywordDefinition } from 'ajv'
import { isMultipleOf } from './decimal.ts'
import type { Fuel } from './validation/fuel.ts'
import { canonical } from './json.ts'

/** The steps of a division in decimal arithmetic. */
const divisionSteps = 40

/**
 * Returns the keywords that replace those of Ajv. Ajv compares values pair by pair (`uniqueItems` takes quadratic
 * time), calls `valueOf` and `toString` of a payload that has properties of these names, rejects an empty `enum`, and
 * divides in floating point. A check that does more than look at the value burns fuel for it.
 */
export function keywordsOf (fuel: Fuel): FuncKeywordDefinition[] {
  const textOf = (value: unknown): string => {
    const text = canonical(value)
    fuel.burn(text.length)
    return text
  }

  function isOneOf (values: unknown[]): (value: unknown) => boolean {
    const simple = new Set(values.filter(value => typeof value !== 'object' || value === null))
    const structured = values.filter(value => typeof value === 'object' && value !== null)
    if (structured.length === 0) return value => simple.has(value)
    const texts = new Set(structured.map(canonical))
    return value => typeof value === 'object' && value !== null ? texts.has(textOf(value)) : simple.has(value)
  }

  return [
    {
      keyword: 'multipleOf',
      type: 'number',
      schemaType: 'number',
      compile: (divisor: number) => (value: number) => {
        if (!Number.isSafeInteger(value) || !Number.isSafeInteger(divisor)) fuel.burn(divisionSteps)
        return isMultipleOf(value, divisor)
      },
      error: { message: cxt => `must be multiple of ${String(cxt.schema)}` }
    },
    {
      keyword: 'uniqueItems',
      type: 'array',
      schemaType: 'boolean',
      compile: (unique: boolean) => unique ? (items: unknown[]) => hasUniqueItems(items, textOf) : () => true,
      error: { message: 'must NOT have duplicate items' }
    },
    {
      keyword: 'enum',
      schemaType: 'array',
      compile: isOneOf,
      error: {
        message: 'must be equal to one of the allowed values',
        params: ({ schemaCode }) => _`{allowedValues: ${schemaCode}}`
      }
    },
    {
      keyword: 'const',
      compile: (value: unknown) => isOneOf([value]),
      error: { message: 'must be equal to constant', params: ({ schemaCode }) => _`{allowedValue: ${schemaCode}}` }
    }
  ]
}

export function hasUniqueItems (items: unknown[], textOf = canonical): boolean {
  return new Set(items.map(item => textOf(item))).size === items.length
}
