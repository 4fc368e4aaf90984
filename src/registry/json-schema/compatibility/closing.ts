import type { Json } from '../json.ts'
import { patternMatcher } from '../regex/pattern-matcher.ts'
import { anything, inPlace, type Keywords, node, nothing, type SchemaNode } from '../schema-node.ts'

/** Limits the places. No schema written by people has more; further places stay open. */
const placesMax = 2_000

/**
 * Returns the schema of a writer that sends only properties which its schema declares. This defines the policy
 * `lenient`: `lenient(writer, reader) = strict(close(writer), reader)`.
 *
 * A *place* is the root, or a member or item of a place. The *judges* of a place are all subschemas that apply to it,
 * in any branch (`allOf`, `anyOf`, `oneOf`, `if`, `then`, `else`, `not`, `dependentSchemas`, `$ref`). Together they
 * *declare* the names in their `properties`, `required`, `dependentRequired` and `dependentSchemas`, and all names that
 * match their `patternProperties`. An object at a place is limited to declared properties if its judges
 *   - declare at least one name or pattern (an object without declarations is a map and stays open),
 *   - have no `additionalProperties`, `unevaluatedProperties` or `propertyNames` (with these, the author decides), and
 *   - do not require more properties by `minProperties` than are declared.
 * A place stays open, with everything below it, if its judges are uncertain: below one of several patterns, below a
 * pattern that matches a declared name, and where `unevaluated…` may apply beside other judges. It also stays open if
 * `const` or `enum` lists an object, whose members need no declaration.
 * If no document at all would satisfy the closed schema, the caller uses the writer's schema as it is.
 */
export function close (writer: SchemaNode): SchemaNode {
  writer.shared = true
  const places = new Places()
  const limits = places.at([writer])
  return places.hasClosed ? node({ allOf: [writer], not: node({ not: limits }) }, writer.pointer, true) : writer
}

class Places {
  readonly #places = new Map<string, SchemaNode>()
  readonly #ids = new Map<SchemaNode, number>()
  readonly #unread: [Keywords, Keywords[]][] = []
  #isReading = false
  hasClosed = false

  /**
   * Returns the limits of the place that these subschemas judge. Limits are applied with `not not`, so that they do not
   * evaluate properties.
   */
  at (roots: readonly SchemaNode[]): SchemaNode {
    const judges = new Set(roots)
    for (const judge of judges) for (const inner of inPlace(judge)) judges.add(inner)
    const speaking = [...judges].filter(judge => typeof judge.keywords !== 'boolean')
    if (speaking.length === 0 || speaking.some(listsObjects)) return anything
    const key = speaking.map(judge => this.#idOf(judge)).sort((a, b) => a - b).join()
    const known = this.#places.get(key)
    if (known !== undefined) return known
    if (this.#places.size >= placesMax) return anything
    const limits: Keywords = {}
    const place = node(limits, '', true)
    this.#places.set(key, place)
    this.#unread.push([limits, speaking.map(judge => judge.keywords as Keywords)])
    if (!this.#isReading) this.#readAll()
    return place
  }

  #readAll (): void {
    this.#isReading = true
    for (let next = this.#unread.pop(); next !== undefined; next = this.#unread.pop()) {
      this.#limitProperties(...next)
      this.#limitItems(...next)
    }
    this.#isReading = false
  }

  #limitProperties (limits: Keywords, judges: Keywords[]): void {
    const names = new Set(judges.flatMap(declaredNames))
    const patterns = new Set(judges.flatMap(({ patternProperties }) => [...patternProperties?.keys() ?? []]))
    limits.properties = new Map(
      [...names].map(name => [name, this.#member(judges, judge => judgesOf(name, judge))])
    )
    const isSole = (pattern: string) =>
      patterns.size === 1 && ![...names].some(name => patternMatcher(pattern).test(name))
    limits.patternProperties = new Map(
      [...patterns].map(pattern => [
        pattern,
        isSole(pattern)
          ? this.#member(judges, ({ patternProperties }) => present(patternProperties?.get(pattern)))
          : anything
      ])
    )
    const isClosed = names.size + patterns.size > 0 && judges.every(saysNothingOfOthers) &&
      (patterns.size > 0 || judges.every(({ minProperties = 0 }) => minProperties <= names.size))
    this.hasClosed ||= isClosed
    limits.additionalProperties = isClosed ? nothing : this.#member(judges, () => [])
  }

  /**
   * Returns the place of a member. `named` returns the subschemas that a judge applies to it by name or pattern;
   * without any, the judge applies its schema of additional properties.
   */
  #member (judges: Keywords[], named: (judge: Keywords) => SchemaNode[]): SchemaNode {
    const silent = judges.filter(judge => named(judge).length === 0)
    return this.#placeOf(
      [...judges.flatMap(named), ...silent.flatMap(({ additionalProperties }) => present(additionalProperties))],
      silent.flatMap(({ additionalProperties, unevaluatedProperties }) =>
        present(additionalProperties === undefined ? unevaluatedProperties : undefined)
      )
    )
  }

  #limitItems (limits: Keywords, judges: Keywords[]): void {
    const length = Math.max(0, ...judges.map(({ prefixItems }) => prefixItems?.length ?? 0))
    const contains = judges.flatMap(({ contains }) => present(contains))
    const unevaluated = judges.flatMap(({ items, unevaluatedItems }) =>
      present(items === undefined ? unevaluatedItems : undefined)
    )
    const rest = this.#placeOf([...contains, ...judges.flatMap(({ items }) => present(items))], unevaluated)
    const tuple = Array.from(
      { length },
      (_, i) =>
        this.#placeOf(
          [...contains, ...judges.flatMap(({ prefixItems, items }) => present(prefixItems?.[i] ?? items))], unevaluated
        )
    )
    if (length > 0) limits.prefixItems = tuple
    if (rest !== anything) limits.items = rest
  }

  #placeOf (judges: SchemaNode[], unevaluated: SchemaNode[]): SchemaNode {
    const isUncertain = judges.length > 0 && unevaluated.some(({ keywords }) => typeof keywords !== 'boolean')
    return isUncertain ? anything : this.at([...judges, ...unevaluated])
  }

  #idOf (judge: SchemaNode): number {
    const id = this.#ids.get(judge) ?? this.#ids.size
    this.#ids.set(judge, id)
    return id
  }
}

function present (...schemas: (SchemaNode | undefined)[]): SchemaNode[] {
  return schemas.filter(schema => schema !== undefined)
}

function declaredNames ({ properties, required, dependentRequired, dependentSchemas }: Keywords): string[] {
  return [
    ...properties?.keys() ?? [], ...required ?? [], ...dependentSchemas?.keys() ?? [],
    ...[...dependentRequired ?? []].flatMap(([name, others]) => [name, ...others])
  ]
}

function saysNothingOfOthers ({ additionalProperties, unevaluatedProperties, propertyNames }: Keywords): boolean {
  return additionalProperties === undefined && unevaluatedProperties === undefined && propertyNames === undefined
}

function judgesOf (name: string, { properties, patternProperties }: Keywords): SchemaNode[] {
  const matching = [...patternProperties ?? []].filter(([pattern]) => patternMatcher(pattern).test(name)).map((
    [, schema]
  ) => schema)
  return [...present(properties?.get(name)), ...matching]
}

function listsObjects ({ keywords }: SchemaNode): boolean {
  return typeof keywords !== 'boolean' && [keywords.const, ...keywords.enum ?? []].some(holdsObject)
}

function holdsObject (value: Json | undefined): boolean {
  return Array.isArray(value) ? value.some(holdsObject) : typeof value === 'object' && value !== null
}
