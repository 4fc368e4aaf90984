import addFormats from 'ajv-formats'
import { Ajv, type ValidateFunction } from 'ajv'
import { createAsyncApiDocument } from '../../src/delivery/asyncapi/document.ts'

export const document = createAsyncApiDocument()
export type ChannelKey = keyof typeof document.channels

const base = 'https://realtime.test/asyncapi.json'
const ajv = new Ajv({ strict: false, allErrors: true })
addFormats.default(ajv)
// Objects are closed, so that fields which the document lacks are found.
ajv.addSchema({
  ...JSON.parse(JSON.stringify(document), (_key, value: unknown) =>
    isObjectSchema(value) ? { additionalProperties: false, ...value } : value) as object,
  $id: base
})
const validators = new Map<string, ValidateFunction>()

/** Returns what is wrong with the payload of a message, or undefined. `message` is a reference into the document. */
export function faultOf (message: string, payload: unknown): string | undefined {
  let validate = validators.get(message)
  if (validate === undefined) {
    validate = ajv.compile({ $ref: `${base}${message}/payload` })
    validators.set(message, validate)
  }
  return validate(payload)
    ? undefined
    : `${message}: ${ajv.errorsText(validate.errors)} in ${JSON.stringify(payload).slice(0, 500)}`
}

function isObjectSchema (value: unknown): value is object {
  return typeof value === 'object' && value !== null && 'type' in value && value.type === 'object' &&
    'properties' in value
}
