import { isObject, type Json, type JsonSchema, pointerTo, typeOf, valueAt } from '../json.ts'
import { normalise } from '../normalise.ts'
import { childrenFirst, type Keywords, type SchemaNode } from '../schema-node.ts'
import { finish } from '../validation/compile-work.ts'
import {
  arrays, conditionalBranches, everyType, listedValues, noTypes, objects, ownDetails, PossibleTypes, setOf,
  type TypeSet
} from './possible-types.ts'
import { docComment, indent, memberName, textLiteral } from './ts-syntax.ts'
import { intersection, one, operandOf, textOf, type TypeExpression, union, unknown } from './type-expression.ts'
import { TypeNames } from './type-names.ts'

/** The TypeScript of one schema: the type of its payloads, and the declarations that the type refers to. */
export interface PrintedType {
  type: string
  /** The lines of a comment on the type. */
  comment: string[]
  declarations: string[]
}

/**
 * Limits the characters in proportion to the text of the schema. Each is counted once, at the level that adds it, and
 * indentation is not counted.
 */
const charactersPerByte = 8
const charactersMin = 8_192

/** Types that are nested deeper get a name. */
const nestingMax = 16
/** Limits chains of names, which the compiler resolves recursively. */
const heightMax = 60
/** Limits the values of an `enum` and the items of a tuple. */
const listedMax = 1_000
const tupleMax = 200

/** The types without details, in the order of unions. */
const plainNames: readonly [TypeSet, string][] = [
  [objects, '{ [key: string]: unknown }'], [arrays, 'unknown[]'], [setOf('string'), 'string'],
  [setOf('number'), 'number'], [setOf('boolean'), 'boolean'], [setOf('null'), 'null']
]

/** The members of every object. An optional property with such a name never lacks in the eyes of the compiler. */
const inherited = new Set(Object.getOwnPropertyNames(Object.prototype))

class TooLong extends Error {}

/**
 * Returns a type that every valid payload of the schema can be assigned to. What TypeScript cannot express makes the
 * type wider, in the extreme `unknown`. Throws SchemaError if the schema cannot be used.
 */
export function printTypeScript (topic: string, schema: JsonSchema): PrintedType {
  const root = normalise(schema)
  try {
    return new Printer(topic, schema, root).print(root)
  } catch (error) {
    if (!(error instanceof TooLong || error instanceof RangeError)) throw error
    return { type: 'unknown', comment: docComment('The schema is too large for a type.'), declarations: [] }
  }
}

class Printer {
  readonly #schema: JsonSchema
  readonly #types = new PossibleTypes()
  readonly #names: TypeNames
  /** The nodes that get a name: those that occur several times, and recursive ones. */
  readonly #declared: ReadonlySet<SchemaNode>
  readonly #references = new Map<SchemaNode, Map<TypeSet, TypeExpression>>()
  readonly #declarations: string[] = []
  #left: number

  constructor (topic: string, schema: JsonSchema, root: SchemaNode) {
    this.#schema = schema
    this.#names = new TypeNames(topic)
    this.#declared = nodesToDeclare(root)
    this.#left = charactersMin + charactersPerByte * JSON.stringify(schema).length
  }

  print (root: SchemaNode): PrintedType {
    const type = textOf(this.#type(root, everyType, 0))
    return { type, comment: this.#commentOn(root.pointer), declarations: this.#declarations }
  }

  /** Returns the type of the values of a schema that have one of the given JSON types. */
  #type (schema: SchemaNode, allowed: TypeSet, nesting: number): TypeExpression {
    const types = this.#types.of(schema) & allowed
    const detailed = this.#types.detailed(schema) & types
    if (typeof schema.keywords === 'boolean' || detailed === noTypes) return this.#plain(types)
    if (this.#declared.has(schema) || nesting > nestingMax) return this.#reference(schema, schema.keywords, types)
    return this.#print(schema, schema.keywords, types, nesting)
  }

  #print (schema: SchemaNode, keywords: Keywords, types: TypeSet, nesting: number): TypeExpression {
    const detailed = this.#types.detailed(schema) & types
    const details = this.#details(schema, keywords, detailed, nesting) ?? this.#plain(detailed)
    return union([details, this.#plain(types & ~detailed)]) ?? this.#plain(types)
  }

  /** Returns the name of the type of a schema, which is declared at the first call. */
  #reference (schema: SchemaNode, keywords: Keywords, types: TypeSet): TypeExpression {
    const known = this.#references.get(schema) ?? new Map<TypeSet, TypeExpression>()
    this.#references.set(schema, known)
    const found = known.get(types)
    if (found !== undefined) return this.#used(found)
    const name = this.#names.next(schema.pointer)
    // Within its own members, the name stands for one type.
    known.set(types, one(name))
    const type = this.#print(schema, keywords, types, 0)
    if (type.height >= heightMax) {
      // The name may be in use already.
      this.#declare(schema, name, this.#plain(types))
      known.set(types, this.#plain(types))
      return this.#plain(types)
    }
    this.#declare(schema, name, type)
    const reference = one(name, type.size, type.height + 1)
    known.set(types, reference)
    return this.#used(reference)
  }

  #declare (schema: SchemaNode, name: string, type: TypeExpression): void {
    const comment = this.#commentOn(schema.pointer)
    this.#spend(`type ${name} =`)
    this.#declarations.push([...comment, withType(`type ${name} =`, textOf(type))].join('\n'))
  }

  #details (
    schema: SchemaNode, keywords: Keywords, types: TypeSet, nesting: number
  ): TypeExpression | undefined {
    const listed = listedValues(keywords)
    if (listed !== undefined) return this.#listed(listed, types)
    const parts: TypeExpression[] = []
    const own = ownDetails(keywords) & types
    if (own !== noTypes) {
      parts.push(union([
        this.#plain(types & ~own),
        ...(own & arrays) !== 0 ? [this.#array(keywords, nesting)] : [],
        ...(own & objects) !== 0 ? [this.#object(schema, keywords, nesting)] : []
      ]) ?? this.#plain(types))
    }
    for (const part of keywords.allOf ?? []) {
      if ((this.#types.detailed(part) & types) !== 0) parts.push(this.#type(part, types, nesting + 1))
    }
    for (const branches of [keywords.anyOf, keywords.oneOf, conditionalBranches(keywords)]) {
      if (branches === undefined) continue
      parts.push(union(branches.map(branch => this.#type(branch, types, nesting + 1))) ?? this.#plain(types))
    }
    const all = intersection(parts)
    return all === unknown ? undefined : all
  }

  #plain (types: TypeSet): TypeExpression {
    if (types === everyType) return this.#used(unknown)
    const names = plainNames.filter(([type]) => (types & type) !== 0).map(([, name]) => one(name))
    return this.#used(union(names) ?? unknown)
  }

  #listed (values: readonly Json[], types: TypeSet): TypeExpression | undefined {
    const possible = values.filter(value => (setOf(typeOf(value)) & types) !== 0)
    if (possible.length > listedMax) return undefined
    return union(possible.map(value => one(this.#spend(literal(value)))))
  }

  #array ({ prefixItems, items, minItems = 0, maxItems = Infinity }: Keywords, nesting: number): TypeExpression {
    const rest = items === undefined ? unknown : this.#type(items, everyType, nesting + 1)
    if (prefixItems === undefined) return this.#enclosed(`${operandOf(rest)}[]`)
    if (prefixItems.length > tupleMax) return one('unknown[]')
    const parts = prefixItems.slice(0, maxItems).map((item, i) => {
      const type = this.#type(item, everyType, nesting + 1)
      return i < minItems ? textOf(type) : `${operandOf(type)}?`
    })
    if (maxItems > prefixItems.length && rest.size > 0) parts.push(`...${operandOf(rest)}[]`)
    for (let i = 0; i < parts.length; i++) this.#spend(', ')
    return this.#enclosed(`[${parts.join(', ')}]`)
  }

  #object (schema: SchemaNode, keywords: Keywords, nesting: number): TypeExpression {
    const { properties = new Map<string, SchemaNode>(), required = [] } = keywords
    const isRequired = new Set(required)
    const members: string[] = []
    for (const [name, property] of properties) {
      const type = this.#type(property, everyType, nesting + 1)
      const comment = this.#commentOn(pointerTo(schema.pointer, 'properties', name), property.pointer)
      const before = this.#spend(`${memberName(name)}${isRequired.has(name) ? '' : '?'}:`)
      const isAmbiguous = inherited.has(name) && !isRequired.has(name)
      members.push(...comment, withType(before, isAmbiguous ? 'unknown' : textOf(type)))
    }
    const others = required.filter(name => !properties.has(name))
    const type = others.length === 0 ? '' : this.#otherMember(keywords, nesting)
    for (const name of others) members.push(this.#spend(withType(`${memberName(name)}:`, type)))
    if (members.length === 0) {
      const before = this.#spend('[key: string]:')
      return this.#enclosed(`{ ${withType(before, textOf(this.#anyMember(keywords, nesting)))} }`)
    }
    // Without a required member, the compiler refuses objects that have none of the members.
    if (isRequired.size === 0 && !isClosed(keywords)) members.push('[key: string]: unknown')
    return this.#enclosed(`{\n${indent(members.join('\n'))}\n}`)
  }

  /** Returns the type of a required member that is not declared. It is never undefined, unlike `unknown`. */
  #otherMember ({ additionalProperties, patternProperties }: Keywords, nesting: number): string {
    const type = additionalProperties === undefined || patternProperties !== undefined
      ? unknown
      : this.#type(additionalProperties, everyType, nesting + 1)
    return type === unknown ? '{} | null' : textOf(type)
  }

  /** Returns a type that all members have, if there are no declared ones. */
  #anyMember ({ additionalProperties, patternProperties }: Keywords, nesting: number): TypeExpression {
    if (additionalProperties === undefined) return unknown
    const schemas = [...patternProperties?.values() ?? [], additionalProperties]
    return union(schemas.map(schema => this.#type(schema, everyType, nesting + 1))) ?? unknown
  }

  /** Returns the comment with the first description that the author wrote at one of the places. */
  #commentOn (...pointers: string[]): string[] {
    for (const pointer of pointers) {
      const raw = valueAt(this.#schema, pointer)
      const text = isObject(raw) ? raw['description'] ?? raw['title'] : undefined
      if (typeof text !== 'string' || text.trim() === '') continue
      const comment = docComment(text)
      this.#spend(comment.join())
      return comment
    }
    return []
  }

  #used (type: TypeExpression): TypeExpression {
    this.#spend(textOf(type))
    return type
  }

  /** Returns a type whose parts are counted already: only its brackets are new. */
  #enclosed (text: string): TypeExpression {
    this.#spend('{  }')
    return one(text)
  }

  #spend (text: string): string {
    this.#left -= text.length + 1
    if (this.#left < 0) throw new TooLong()
    return text
  }
}

/** A long union starts on a line of its own. */
export const withType = (before: string, type: string): string => before + (type.startsWith('\n') ? type : ` ${type}`)

function isClosed ({ additionalProperties, patternProperties }: Keywords): boolean {
  return additionalProperties?.keywords === false && patternProperties === undefined
}

/** Returns the type of one JSON value. */
function literal (value: Json): string {
  if (typeof value === 'string') return textLiteral(value)
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : 'number'
  if (typeof value !== 'object' || value === null) return String(value)
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`
  const members = Object.entries(value).map(([name, member]) => `${memberName(name)}: ${literal(member)}`)
  return members.length === 0 ? '{ [key: string]: never }' : `{ ${members.join('; ')} }`
}

function nodesToDeclare (root: SchemaNode): Set<SchemaNode> {
  const { order, loops } = finish(childrenFirst(root))
  const declared = new Set(loops)
  const seen = new Set<SchemaNode>()
  for (const schema of order) {
    for (const child of printedChildren(schema)) {
      if (seen.has(child)) declared.add(child)
      seen.add(child)
    }
  }
  return declared
}

/** Yields the subschemas that types are made of. */
function * printedChildren ({ keywords }: SchemaNode): Generator<SchemaNode> {
  if (typeof keywords === 'boolean') return
  const { allOf, anyOf, oneOf, prefixItems, properties, patternProperties, items, additionalProperties } = keywords
  for (const list of [allOf, anyOf, oneOf, prefixItems, conditionalBranches(keywords)]) {
    if (list !== undefined) yield * list
  }
  for (const map of [properties, patternProperties]) if (map !== undefined) yield * map.values()
  for (const schema of [items, additionalProperties]) if (schema !== undefined) yield schema
}
