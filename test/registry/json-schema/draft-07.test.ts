import { Parser } from '@asyncapi/parser'
import t from 'tap'
import { toDraft07 } from '../../../src/registry/json-schema/draft-07.ts'
import type { JsonSchema } from '../../../src/registry/json-schema/json.ts'
import { compileValidator, type Validator } from '../../../src/registry/json-schema/validation/validators.ts'
import { Random } from '../../support/random.ts'
import { randomDocument } from './attack.ts'
import { configuration } from './entangled.ts'
import { document } from './generate.ts'

t.setTimeout(300_000)

const schemasMax = Number(process.env['CORPUS_PAIRS'] ?? 400)
const draft07 = 'http://json-schema.org/draft-07/schema#'

t.test('the translation accepts every valid document, and only those where draft-07 has the keywords', async t => {
  const wrong: unknown[] = []
  let compared = 0
  let accepted = 0
  for (let seed = 0; seed < schemasMax; seed++) {
    const random = new Random(seed * 7723 + 1)
    const schema = document(random, 1 + random.below(3))
    let original: Validator
    try { original = compileValidator(schema) } catch { continue }
    const text = JSON.stringify(schema)
    const translated = compileValidator({ $schema: draft07, ...toDraft07(schema, '#') })
    const isExact = !/"(?:min|max)Contains"/.test(text)
    for (let i = 0; i < 20; i++) {
      const candidate = randomDocument(random, schema, schema)
      const [isValid, isAccepted] = [original.isValid(candidate), translated.isValid(candidate)]
      compared++
      accepted += Number(isValid)
      if (isExact ? isValid !== isAccepted : isValid && !isAccepted && !/"(?:not|if|oneOf)"/.test(text)) {
        wrong.push({ seed, schema, candidate, isValid })
      }
    }
  }
  t.ok(compared > schemasMax * 15 && accepted > compared / 5, `${accepted} of ${compared} documents are valid`)
  t.same(wrong.slice(0, 3), [])
})

t.test('the parser of AsyncAPI accepts translations', async t => {
  const originals = Array.from({ length: 150 }, (_, seed) => document(new Random(seed * 6151 + 2), 2))
  const usable = originals.filter(schema => {
    try { compileValidator(schema); return true } catch { return false }
  })
  const schemas = Object.fromEntries([...usable, configuration(60)].map((schema, i) => [
    `seed.${i}`, toDraft07(schema, `#/components/schemas/seed.${i}`)
  ]))
  const { document: parsed, diagnostics } = await new Parser().parse(
    JSON.stringify({ asyncapi: '3.0.0', info: { title: 'Translations', version: '1' }, components: { schemas } })
  )
  t.same(diagnostics.filter(({ severity }) => severity === 0).map(({ message, path }) => [message, path.join('/')]), [])
  t.ok(parsed !== undefined)
  t.ok(Object.keys(schemas).length > 100, `${Object.keys(schemas).length} schemas`)
})

t.test('each keyword has its name in draft-07, and references lead to the new place', async t => {
  const translations: [JsonSchema, unknown][] = [
    [true, {}],
    [false, { not: {} }],
    [{ type: 'array', prefixItems: [{ type: 'string' }], items: false, minContains: 2, contains: true, maxContains: 3 },
      { type: 'array', items: [{ type: 'string' }], additionalItems: false, allOf: [{ contains: true }] }],
    [{ contains: true, minContains: 0 }, {}],
    [{ dependentRequired: { a: ['b', 'b'] }, dependentSchemas: { a: { required: ['c'] }, b: false } },
      { dependencies: { a: { allOf: [{ required: ['c'] }, { required: ['b'] }] }, b: false } }],
    [{ $schema: 'http://json-schema.org/draft-04/schema#', type: 'number', minimum: 1, exclusiveMinimum: true },
      { type: 'number', exclusiveMinimum: 1 }],
    [{ $id: 'https://x.io/', title: 'T', description: 'D', examples: [1], properties: { a: { $ref: '#' } } },
      { title: 'T', description: 'D', properties: { a: { $ref: '#/here' } } }],
    [{ allOf: [{ $ref: 'x#y' }], $defs: { 'a b/c': { $id: 'x', $defs: { z: { $anchor: 'y', type: 'null' } } } } },
      { allOf: [{ $ref: '#/here/definitions/z.0' }], definitions: { 'z.0': { type: 'null' } } }],
    [{ enum: [1, 1, 'a'] }, { enum: [1, 'a'] }],
    [{ enum: [1, { a: [{ $ref: 'http://example.com/' }] }] }, {}],
    [{ const: { $ref: '#/nowhere' } }, {}],
    [{ properties: { $ref: { type: 'string' }, a: true }, additionalProperties: false }, { properties: { a: true } }]
  ]
  for (const [schema, expected] of translations) {
    t.same(toDraft07(schema, '#/here'), expected, JSON.stringify(schema))
  }
})
