import { Ajv2020 } from 'ajv/dist/2020.js'
import t from 'tap'
import { isMultipleOf } from '../../../../src/registry/json-schema/decimal.ts'
import { emit } from '../../../../src/registry/json-schema/emit.ts'
import { stringFormats } from '../../../../src/registry/json-schema/formats.ts'
import { normalise } from '../../../../src/registry/json-schema/normalise.ts'
import { compileValidator, type Validator } from '../../../../src/registry/json-schema/validation/validators.ts'
import { Random } from '../../../support/random.ts'
import { randomDocument } from '../attack.ts'
import { attackValues } from '../attack-values.ts'
import { document, mutate } from '../generate.ts'

const seeds = 300
const documentsPerSchema = 40

t.test('generated documents have the verdicts of Ajv, and its first error', t => {
  const different: unknown[] = []
  let [valid, invalid] = [0, 0]
  for (let seed = 0; seed < seeds; seed++) {
    const random = new Random(seed * 104729 + 11)
    const depth = 1 + random.below(3)
    const original = document(random, depth)
    const schema = random.chance(0.5) ? mutate(random, original, depth) : original
    let validator: Validator
    try { validator = compileValidator(schema) } catch { continue }
    const check = ajv().compile(emit(normalise(schema)))
    for (let i = 0; i < documentsPerSchema; i++) {
      const payload = i < 5 ? attackValues[(seed + i) % attackValues.length] : randomDocument(random, schema, schema)
      const [issue] = validator.validate(payload)
      const errors = check(payload) ? [] : check.errors ?? []
      if (errors.length > 0) invalid++
      else valid++
      const isSame = issue === undefined
        ? errors.length === 0
        : errors.some(({ instancePath, keyword }) =>
          instancePath === issue.path && (keyword === 'false schema' ? 'false' : keyword) === issue.keyword
        )
      if (!isSame) different.push({ seed, schema, payload, issue, errors })
    }
  }
  t.comment(`${valid} valid, ${invalid} invalid`)
  t.ok(valid > 2_000 && invalid > 2_000)
  t.same(different, [])
  t.end()
})

/** Ajv with the formats and the division of this project, which differ on purpose. */
function ajv () {
  const result = new Ajv2020({ strict: false, logger: false, allErrors: true, ownProperties: true })
  for (const [name, check] of stringFormats) result.addFormat(name, check)
  return result.removeKeyword('multipleOf').addKeyword({
    keyword: 'multipleOf',
    type: 'number',
    compile: (divisor: number) => (value: number) => isMultipleOf(value, divisor)
  })
}
