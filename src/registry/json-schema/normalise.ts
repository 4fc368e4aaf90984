import { CompileWork, finish } from './validation/compile-work.ts'
import { keywordShapes } from './dialect.ts'
import { refuseEndlessReferences } from './endless-references.ts'
import { has, isObject, type Json, type JsonSchema } from './json.ts'
import { type RawSchema, SchemaDocument } from './schema-document.ts'
import { SchemaError } from './schema-error.ts'
import { type Keywords, node, reaching, type SchemaNode } from './schema-node.ts'
import { Lowering } from './unevaluated.ts'

/** Reads a schema into its internal form. Throws SchemaError with the reason if it cannot be used. */
export function normalise (schema: JsonSchema): SchemaNode {
  return finish(normalising(schema, new CompileWork()))
}

/** Does the same as a generator that yields regularly, so that reading a large schema can pause. */
export function * normalising (schema: JsonSchema, work: CompileWork): Generator<void, SchemaNode> {
  const document = yield * SchemaDocument.read(schema, work)
  const root = yield * new Reader(document, work).read()
  yield * refuseEndlessReferences(root, work)
  const lowering = new Lowering(work)
  for (const next of reaching(root)) {
    yield * lowering.lower(next)
    if (work.spend(1)) yield
  }
  return root
}

/** Keywords that have the same meaning in every dialect and are copied unchanged. */
const plainKeywords = [
  'enum', 'const', 'minimum', 'maximum', 'multipleOf', 'minLength', 'maxLength', 'pattern', 'format', 'contentEncoding',
  'contentMediaType', 'contentSchema', 'minItems', 'maxItems', 'uniqueItems', 'minContains', 'maxContains',
  'minProperties', 'maxProperties'
] as const
const schemaKeywords = [
  'additionalProperties', 'propertyNames', 'contains', 'not', 'if', 'then', 'else', 'unevaluatedItems',
  'unevaluatedProperties'
] as const
const listKeywords = ['anyOf', 'oneOf'] as const
const mapKeywords = ['properties', 'patternProperties', 'dependentSchemas'] as const

/** The steps to create a node. */
const nodeSteps = 3

class Reader {
  readonly #document: SchemaDocument
  readonly #nodes = new Map<RawSchema, SchemaNode>()
  readonly #unread: [SchemaNode, Record<string, unknown>][] = []

  readonly #work: CompileWork

  constructor (document: SchemaDocument, work: CompileWork) {
    this.#document = document
    this.#work = work
  }

  * read (): Generator<void, SchemaNode> {
    const root = yield * this.#nodeOf(this.#document.root, true)
    for (let next = this.#unread.pop(); next !== undefined; next = this.#unread.pop()) yield * this.#fill(...next)
    return root
  }

  * #nodeOf (raw: RawSchema, shared = false): Generator<void, SchemaNode> {
    if (this.#work.spend(nodeSteps)) yield
    const target = yield * this.#throughReferences(raw)
    if (typeof target === 'boolean') return node(target, this.#document.pointerOf(raw))
    const known = this.#nodes.get(target)
    const result = known ?? node({}, this.#document.pointerOf(target))
    result.shared ||= shared || target !== raw
    if (known === undefined) {
      this.#nodes.set(target, result)
      this.#unread.push([result, target])
    }
    return result
  }

  /** Returns the end of a chain of schemas that consist of a `$ref` only. */
  * #throughReferences (raw: RawSchema): Generator<void, RawSchema> {
    const seen = new Set<RawSchema>()
    let at = raw
    while (isObject(at) && this.#isOnlyReference(at)) {
      if (seen.has(at)) throw new SchemaError('the $ref leads back to itself', this.#document.pointerOf(raw))
      seen.add(at)
      at = yield * this.#document.resolve(at, at['$ref'] as string)
    }
    return at
  }

  #isOnlyReference (raw: Record<string, unknown>): boolean {
    if (typeof raw['$ref'] !== 'string') return false
    if (this.#document.dialect !== '2020-12') return true
    return Object.keys(raw).every(word =>
      word === '$ref' || word === '$defs' || word === 'definitions' || !keywordShapes['2020-12'].has(word)
    )
  }

  * #fill (target: SchemaNode, raw: Record<string, unknown>): Generator<void, void> {
    const shapes = keywordShapes[this.#document.dialect]
    const read = (word: string): unknown => has(raw, word) && shapes.has(word) ? raw[word] : undefined
    const keywords = target.keywords as Keywords
    for (const word of plainKeywords) {
      if (read(word) !== undefined) Object.assign(keywords, { [word]: read(word) as Json })
    }
    for (const word of schemaKeywords) {
      if (read(word) !== undefined) keywords[word] = yield * this.#nodeOf(read(word) as RawSchema)
    }
    for (const word of listKeywords) {
      if (read(word) !== undefined) keywords[word] = yield * this.#list(read(word) as RawSchema[])
    }
    for (const word of mapKeywords) {
      if (read(word) !== undefined) keywords[word] = yield * this.#map(read(word) as Record<string, RawSchema>)
    }
    const type = read('type') as string | string[] | undefined
    if (type !== undefined) keywords.type = Array.isArray(type) ? type : [type]
    if (read('required') !== undefined) keywords.required = [...new Set(read('required') as string[])]
    if (read('dependentRequired') !== undefined) {
      keywords.dependentRequired = new Map(Object.entries(read('dependentRequired') as Record<string, string[]>))
    }
    this.#fillBounds(keywords, read)
    yield * this.#fillItems(target, keywords, read)
    yield * this.#fillDependencies(target, keywords, read)
    yield * this.#fillAllOf(keywords, raw, read)
  }

  * #list (schemas: RawSchema[]): Generator<void, SchemaNode[]> {
    const list: SchemaNode[] = []
    for (const schema of schemas) list.push(yield * this.#nodeOf(schema))
    return list
  }

  * #map (schemas: Record<string, RawSchema>): Generator<void, Map<string, SchemaNode>> {
    const map = new Map<string, SchemaNode>()
    for (const [key, schema] of Object.entries(schemas)) map.set(key, yield * this.#nodeOf(schema))
    return map
  }

  /** Reads bounds. Draft-04 writes `"exclusiveMinimum": 5` as `"minimum": 5, "exclusiveMinimum": true`. */
  #fillBounds (keywords: Keywords, read: (word: string) => unknown): void {
    for (const [bound, exclusive] of [['minimum', 'exclusiveMinimum'], ['maximum', 'exclusiveMaximum']] as const) {
      const value = read(exclusive)
      if (typeof value === 'number') keywords[exclusive] = value
      if (value !== true || keywords[bound] === undefined) continue
      keywords[exclusive] = keywords[bound]
      delete keywords[bound]
    }
  }

  * #fillItems (target: SchemaNode, keywords: Keywords, read: (word: string) => unknown): Generator<void, void> {
    const items = read('items') as RawSchema | RawSchema[] | undefined
    const tuple = read('prefixItems') as RawSchema[] | undefined ?? (Array.isArray(items) ? items : undefined)
    const rest = Array.isArray(items) ? read('additionalItems') as RawSchema | undefined : items
    if (tuple !== undefined) keywords.prefixItems = yield * this.#list(tuple)
    if (rest !== undefined) keywords.items = yield * this.#nodeOf(rest)
    if (Array.isArray(items)) Object.assign(target.words, { prefixItems: 'items', items: 'additionalItems' })
  }

  * #fillDependencies (target: SchemaNode, keywords: Keywords, read: (word: string) => unknown): Generator<void, void> {
    const dependencies = Object.entries(read('dependencies') as Record<string, RawSchema | string[]> | undefined ?? {})
    if (dependencies.length === 0) return
    if (keywords.dependentRequired === undefined) target.words.dependentRequired = 'dependencies'
    if (keywords.dependentSchemas === undefined) target.words.dependentSchemas = 'dependencies'
    keywords.dependentRequired ??= new Map()
    keywords.dependentSchemas ??= new Map()
    for (const [name, dependency] of dependencies) {
      if (Array.isArray(dependency)) {
        const others = keywords.dependentRequired.get(name) ?? []
        keywords.dependentRequired.set(name, [...others, ...dependency])
      } else {
        keywords.dependentSchemas.set(
          name,
          both(keywords.dependentSchemas.get(name), yield * this.#nodeOf(dependency))
        )
      }
    }
  }

  * #fillAllOf (
    keywords: Keywords, raw: Record<string, unknown>, read: (word: string) => unknown
  ): Generator<void, void> {
    const parts = yield * this.#list(read('allOf') as RawSchema[] | undefined ?? [])
    const dynamic = read('$dynamicRef')
    if (typeof dynamic === 'string') {
      parts.unshift(yield * this.#nodeOf(yield * this.#document.resolveDynamic(raw, dynamic), true))
    }
    const reference = read('$ref')
    if (typeof reference === 'string') {
      parts.unshift(yield * this.#nodeOf(yield * this.#document.resolve(raw, reference), true))
    }
    if (parts.length > 0) keywords.allOf = parts
  }
}

function both (a: SchemaNode | undefined, b: SchemaNode): SchemaNode {
  return a === undefined ? b : node({ allOf: [a, b] }, b.pointer)
}
