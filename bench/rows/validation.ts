import { Ajv2020 } from 'ajv/dist/2020.js'
import { compileValidator } from '../../src/registry/json-schema/validation/validators.ts'
import { alternate, spread } from '../measure.ts'
import type { Row } from '../row.ts'

const rounds = 7
const payloadsARound = 20_000

const text = { type: 'string', minLength: 1, maxLength: 200 }
const schema = {
  type: 'object',
  properties: {
    orderId: { type: 'string', pattern: '^ord_[a-z0-9]{12}$' },
    status: { enum: ['placed', 'paid', 'sent', 'closed'] },
    customer: { type: 'object', properties: { id: text, name: text, city: text }, required: ['id', 'name'] },
    lines: {
      type: 'array',
      maxItems: 50,
      items: {
        type: 'object',
        properties: {
          sku: text, title: text, quantity: { type: 'integer', minimum: 1 }, price: { type: 'number', minimum: 0 }
        },
        required: ['sku', 'quantity']
      }
    }
  },
  required: ['orderId', 'status', 'lines']
}
/** About 1 kB of JSON. */
const payload = {
  orderId: 'ord_0123456789ab',
  status: 'paid',
  customer: { id: 'cus_0123456789', name: 'Ada Lovelace', city: 'London' },
  lines: Array.from(
    { length: 9 },
    (_, i) => ({
      sku: `sku_${i}00000000`,
      title: 'A thing that somebody has ordered, in a box',
      quantity: i + 1,
      price: 9.5 * i
    })
  )
}

/** Measures the cost of validating a 1 kB payload against plain Ajv, whose patterns can be exploited to run forever. */
export const validation: Row = {
  name: 'validation',
  async run () {
    const validator = compileValidator(schema)
    const plain = new Ajv2020().compile(schema)
    const pair = await alternate(
      rounds, async () => microseconds(() => validator.isValid(payload)), async () => microseconds(() => plain(payload))
    )
    return [{
      row: 'validation',
      what: `check a payload of ${JSON.stringify(payload).length} bytes`,
      unit: 'µs',
      ...pair,
      goal: { most: 15 },
      note: spread(pair)
    }]
  }
}

function microseconds (isValid: () => boolean): number {
  const start = performance.now()
  for (let i = 0; i < payloadsARound; i++) if (!isValid()) throw new Error('the payload is valid')
  return (performance.now() - start) * 1000 / payloadsARound
}
