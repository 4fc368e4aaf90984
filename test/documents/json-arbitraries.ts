import fc from 'fast-check'

/** Names that are special for inherited members, pointers and arrays, without those that documents refuse. */
const key = fc.oneof(
  fc.constantFrom('a', 'b', 'c', '', '0', '1', '-', 'a/b', 'm~n', '~1', 'toString', 'valueOf', 'length', 'é', 'a b'),
  fc.string({ maxLength: 4 }).filter(text => text !== '__proto__')
)
const scalar = fc.oneof(
  fc.constant(null), fc.boolean(), fc.integer({ min: -3, max: 3 }), fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.string({ maxLength: 4 })
)

const { value } = fc.letrec<{ value: unknown }>(tie => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true }, scalar, fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(key, tie('value'), { maxKeys: 5, noNullPrototype: true })
  )
}))
export const roundTrip = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T

/** Values as `JSON.parse` returns them. */
export const jsonValue = value.map(roundTrip)
export const jsonObject = fc.dictionary(key, value, { maxKeys: 6, noNullPrototype: true }).map(
  roundTrip
) as fc.Arbitrary<Record<string, unknown>>

export function deepFreeze<T> (value: T): T {
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(deepFreeze)
    Object.freeze(value)
  }
  return value
}
