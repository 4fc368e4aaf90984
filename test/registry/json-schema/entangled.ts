const list = <T>(length: number, make: (i: number) => T): T[] => Array.from({ length }, (_, i) => make(i))

/**
 * Returns a schema of the pigeonhole principle: one hole fewer than pigeons. No document satisfies it, and the steps to
 * prove that grow exponentially with the pigeons.
 */
export function pigeons (count: number) {
  const nameOf = (pigeon: number, hole: number): string => `p${pigeon}in${hole}`
  const placed = list(count, pigeon => ({ anyOf: list(count - 1, hole => ({ required: [nameOf(pigeon, hole)] })) }))
  const alone = list(count - 1, hole => list(count, pigeon => list(pigeon, other =>
    ({ not: { required: [nameOf(pigeon, hole), nameOf(other, hole)] } })
  )).flat()).flat()
  return { type: 'object', allOf: [...placed, ...alone] }
}

/**
 * Returns a schema like those of SchemaStore for configuration files, in shape and size (pnpm-workspace.json has 45
 * kB).
 */
export function configuration (settings: number, { description = 'd'.repeat(150) } = {}) {
  const kinds = [
    (i: number) => ({ description, type: 'boolean', default: i % 2 === 0 }),
    (i: number) => ({
      description,
      anyOf: [{ enum: [`a${i}`, `b${i}`, 'none'] }, { type: 'string', pattern: `^[a-z]+-${i}(\\.[0-9]+)*$` }]
    }),
    () => ({ description, type: 'array', uniqueItems: true, items: { $ref: '#/definitions/name' } }),
    () => ({ description, type: 'object', additionalProperties: { $ref: '#/definitions/entry' } }),
    () => ({
      description, type: 'object', patternProperties: { '^[a-z]+$': { type: 'string' } }, additionalProperties: false
    }),
    (i: number) => ({ description, type: ['integer', 'null'], minimum: 0, maximum: 1000 + i }),
    () => ({
      description,
      oneOf: [{ type: 'string', format: 'uri' }, {
        type: 'object', properties: { url: { type: 'string' }, kind: { const: 'git' } }, required: ['url']
      }]
    })
  ]
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    type: 'object',
    definitions: {
      name: { type: 'string', minLength: 1, maxLength: 214, pattern: '^[a-z0-9@/._-]+$' },
      entry: {
        type: 'object',
        properties: {
          version: { type: 'string' }, of: { $ref: '#/definitions/entry' },
          names: { type: 'array', items: { $ref: '#/definitions/name' } }
        }
      }
    },
    properties: Object.fromEntries(list(settings, i => [`setting${i}`, kinds.at(i % kinds.length)?.(i)])),
    allOf: [{ properties: { name: { $ref: '#/definitions/name' } } }]
  }
}
