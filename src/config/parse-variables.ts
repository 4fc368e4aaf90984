import { Ajv } from 'ajv'
import envSchema from 'env-schema'
import { explain, type ValidatorError } from '../foundation/http/validation-message.ts'
import { EnvironmentVariables } from './environment-variables.ts'

/** Shared, because Ajv caches a compiled schema by its object. */
const variablesAjv = new Ajv({
  coerceTypes: true, useDefaults: true, allErrors: true, removeAdditional: true, allowUnionTypes: true
})
const variablesSchema = { ...EnvironmentVariables }

/** Parses variables. Invalid ones are added to `problems` and left out, so that one run finds all of them. */
export function parseVariables (data: Record<string, string | undefined>, problems: string[]): EnvironmentVariables {
  try {
    return envSchema<EnvironmentVariables>({ schema: variablesSchema, data, env: false, ajv: variablesAjv })
  } catch (error) {
    const errors = (error as { errors?: ValidatorError[] }).errors ?? []
    const wrong = new Set(errors.map(({ instancePath = '' }) => instancePath.slice(1)))
    const right = Object.entries(data).filter(([name]) => !wrong.has(name))
    if (right.length === Object.keys(data).length) throw error
    problems.push(
      ...[...wrong].map(name =>
        `${name} ${explain(errors.filter(({ instancePath }) => instancePath === `/${name}`)).message ?? 'is wrong'}`
      )
    )
    return parseVariables(Object.fromEntries(right), problems)
  }
}

/** Returns the parts of a comma-separated list. */
export const list = (text: string) => text.split(',').map(part => part.trim()).filter(part => part !== '')

const unitsMs: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** Returns the milliseconds of a duration such as `5s`. */
export function toMilliseconds (duration: string): number {
  const [, count = '', unit = ''] = /^(\d+)(\w+)$/.exec(duration) ?? []
  return Number(count) * (unitsMs[unit] ?? NaN)
}

/** Decodes a key, or adds to `problems` why it is none. */
export function encryptionKey (name: string, text: string, problems: string[]): Buffer {
  const key = Buffer.from(text, 'base64')
  if (key.length !== 32) {
    problems.push(`${name} must be 32 bytes in base64 (it is ${key.length}); make one with: openssl rand -base64 32`)
  }
  return key
}
