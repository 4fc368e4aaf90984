import { describeChange, kebab, sentence } from './describe-change.ts'
import { type Formula, type Formulas, maskOf } from './formula.ts'
import { pointerTo } from '../json.ts'
import { demandOf, hasKey, otherKeys, unevaluated } from './schema-formula.ts'
import { type Removal, removalsBetween } from './removals.ts'
import { type Keywords, node, pointerOf, type SchemaNode } from '../schema-node.ts'

/**
 * A demand of the reader that is not literally in the writer's schema. All documents of the writer are documents of the
 * reader exactly if none of them is in any `violation`.
 */
export interface Difference {
  readonly path: string
  readonly rule: string
  readonly message: string
  readonly word: keyof Keywords
  readonly reader: SchemaNode
  /** The whole documents that violate the demand. */
  readonly violation: Formula
  /** The values at the place of the demand that the writer's schema for this place allows and the demand does not. */
  readonly local: readonly Formula[]
}

/** Converts "the value at this place is in the set" to "the document has such a place". */
type Place = (inside: Formula) => Formula

/** Limits the differences. Beyond them, a schema is compared as a whole, without a walk through its keywords. */
const differencesMax = 2_000
/** Limits the properties that are listed one by one because the reader no longer names them. */
const removedPropertiesMax = 200

/**
 * Walks two schemas side by side, down to the keywords that differ. A difference in recursion, where the walk meets the
 * same pair again, is one difference of the whole schema.
 */
export class Differences {
  readonly #formulas: Formulas
  readonly #open = new Set<string>()
  readonly found: Difference[] = []
  readonly removals: Removal[] = []

  constructor (formulas: Formulas) {
    this.#formulas = formulas
  }

  walk (writer: SchemaNode, reader: SchemaNode, place: Place = inside => inside): void {
    const whole = this.#formulas.schema(reader)
    if (whole === this.#formulas.schema(writer) || whole === this.#formulas.true) return
    const key = `${this.#formulas.schema(writer).id} ${whole.id}`
    const sides = { writer, reader, writers: conjuncts(writer), place }
    if (typeof reader.keywords === 'boolean' || this.#open.has(key) || this.found.length > differencesMax) {
      this.#add(sides, {
        word: 'not',
        demand: whole,
        path: reader.pointer,
        rule: 'schema-changed',
        message: sentence(reader.keywords === false ? 'no value is allowed here' : 'the schema changed here')
      })
      return
    }
    this.#open.add(key)
    this.#walkKeywords(sides, reader.keywords)
    this.#open.delete(key)
  }

  #walkKeywords (sides: Sides, keywords: Keywords): void {
    for (const word of Object.keys(keywords) as (keyof Keywords)[]) {
      switch (word) {
        case 'allOf': for (const part of keywords.allOf ?? []) this.walk(sides.writer, part, sides.place); break
        case 'properties': this.#properties(sides, keywords); break
        case 'patternProperties': this.#patterns(sides, keywords); break
        case 'additionalProperties': this.#others(sides, keywords); break
        case 'prefixItems': this.#tuple(sides, keywords); break
        case 'items': this.#items(sides, keywords); break
        case 'required': for (const name of keywords.required ?? []) this.#required(sides, name); break
        case 'unevaluatedItems': case 'unevaluatedProperties': this.#unevaluated(sides, word, keywords); break
        default: this.#keyword(sides, word, demandOf(word, keywords, this.#formulas))
      }
    }
    if (this.removals.length <= differencesMax) this.removals.push(...removalsBetween(sides.writer, sides.reader))
  }

  #keyword (sides: Sides, word: keyof Keywords, demand: Formula): void {
    if (
      demand === this.#formulas.true ||
      sides.writers.some(writer => demandOf(word, writer.keywords, this.#formulas) === demand)
    ) return
    const before = sides.writers.find(writer => writer.keywords[word] !== undefined)
    this.#add(sides, {
      word,
      demand,
      path: pointerOf(sides.reader, word),
      rule: `${kebab(word)}-${before === undefined ? 'added' : 'changed'}`,
      message: describeChange(word, before, sides.reader)
    })
  }

  #unevaluated (sides: Sides, word: 'unevaluatedItems' | 'unevaluatedProperties', keywords: Keywords): void {
    const demand = unevaluated(word, keywords, this.#formulas, false)
    const isDemanded = sides.writers.some(writer =>
      unevaluated(word, writer.keywords, this.#formulas, true) === demand
    )
    if (!isDemanded) this.#keyword(sides, word, demand)
  }

  #properties (sides: Sides, { properties }: Keywords): void {
    for (const [name, schema] of properties ?? []) {
      const key = this.#formulas.in([name])
      const before = firstOf(sides, writer => writer.properties?.get(name))
      if (before !== undefined) this.walk(before, schema, inside => sides.place(this.#withKey(key, inside)))
      else {
        this.#add(sides, {
          word: 'properties',
          demand: this.#formulas.everyKey(key, this.#formulas.schema(schema)),
          path: pointerTo(pointerOf(sides.reader, 'properties'), name),
          rule: 'property-added',
          message: `The property ${JSON.stringify(name)} is now declared. ` +
            'Values that were sent under this name before may be invalid.'
        })
      }
    }
  }

  #patterns (sides: Sides, { patternProperties }: Keywords): void {
    for (const [source, schema] of patternProperties ?? []) {
      const keys = this.#formulas.pattern(source)
      const before = firstOf(sides, writer => writer.patternProperties?.get(source))
      if (before !== undefined) this.walk(before, schema, inside => sides.place(this.#withKey(keys, inside)))
      else {
        this.#add(sides, {
          word: 'patternProperties',
          demand: this.#formulas.everyKey(keys, this.#formulas.schema(schema)),
          path: pointerTo(pointerOf(sides.reader, 'patternProperties'), source),
          rule: 'pattern-property-added',
          message: `Properties whose names match ${JSON.stringify(source)} must now satisfy a schema.`
        })
      }
    }
  }

  /** Compares properties that the reader does not name: first those that the writer names, then all others. */
  #others (sides: Sides, keywords: Keywords): void {
    const { additionalProperties } = keywords
    if (additionalProperties === undefined) return
    const formulas = this.#formulas
    const schema = formulas.schema(additionalProperties)
    const keys = otherKeys(keywords, formulas)
    const demand = formulas.everyKey(keys, schema)
    if (sides.writers.some(writer => demandOf('additionalProperties', writer.keywords, formulas) === demand)) return
    const removed = this.#removedProperties(sides, keywords, schema)
    const others = formulas.all([keys, formulas.in(removed, true)])
    const before = sides.writers.find(writer => writer.keywords.additionalProperties !== undefined)
    let left = others
    if (before?.keywords.additionalProperties !== undefined && typeof additionalProperties.keywords !== 'boolean') {
      const common = otherKeys(before.keywords, formulas)
      left = formulas.all([others, formulas.not(common)])
      this.walk(
        before.keywords.additionalProperties, additionalProperties,
        inside => sides.place(this.#withKey(formulas.all([others, common]), inside))
      )
    }
    this.#add(sides, {
      word: 'additionalProperties',
      demand: formulas.everyKey(left, schema),
      path: pointerOf(sides.reader, 'additionalProperties'),
      rule: `additional-properties-${before === undefined ? 'added' : 'changed'}`,
      message: describeChange('additionalProperties', before, sides.reader)
    })
  }

  /**
   * Adds a difference for each property that only the writer names, and returns their names. The reader's schema of
   * additional properties applies to them.
   */
  #removedProperties (sides: Sides, keywords: Keywords, schema: Formula): string[] {
    const formulas = this.#formulas
    const removed = new Map(
      sides.writers.flatMap(writer =>
        [...writer.keywords.properties?.keys() ?? []].map((name): [string, Conjunct] => [name, writer])
      ).filter(([name]) => keywords.properties?.has(name) !== true).slice(0, removedPropertiesMax)
    )
    const unmatched = [...keywords.patternProperties?.keys() ?? []].map(source => formulas.pattern(source, true))
    for (const [name, writer] of removed) {
      this.#add(sides, {
        word: 'additionalProperties',
        demand: formulas.everyKey(formulas.all([formulas.in([name]), ...unmatched]), schema),
        path: pointerTo(pointerOf(writer, 'properties'), name),
        rule: 'property-removed',
        message: `The property ${JSON.stringify(name)} is no longer declared. "additionalProperties" applies to it.`
      })
    }
    return [...removed.keys()]
  }

  #tuple (sides: Sides, { prefixItems = [] }: Keywords): void {
    const formulas = this.#formulas
    for (const [i, schema] of prefixItems.entries()) {
      this.walk(
        firstOf(sides, writer => writer.prefixItems?.[i] ?? writer.items) ?? node(true),
        schema,
        inside => sides.place(
          formulas.all([formulas.types(arrayMask), formulas.size('array', i + 1), formulas.item(i, inside)])
        )
      )
    }
  }

  #items (sides: Sides, keywords: Keywords): void {
    const { items, prefixItems = [] } = keywords
    if (items === undefined) return
    const formulas = this.#formulas
    const from = prefixItems.length
    const before = firstOf(sides, writer => (writer.prefixItems?.length ?? 0) <= from ? writer.items : undefined)
    if (before === undefined) {
      this.#keyword(sides, 'items', demandOf('items', keywords, formulas))
      return
    }
    this.walk(before, items, inside =>
      sides.place(formulas.all([formulas.types(arrayMask), formulas.count(from, inside, 1)])))
  }

  #withKey (keys: Formula, inside: Formula): Formula {
    return this.#formulas.all([this.#formulas.types(objectMask), this.#formulas.someKey(keys, inside)])
  }

  #required (sides: Sides, name: string): void {
    if (sides.writers.some(writer => writer.keywords.required?.includes(name) === true)) return
    this.#add(sides, {
      word: 'required',
      demand: hasKey(name, this.#formulas),
      path: pointerOf(sides.reader, 'required'),
      rule: 'required-added',
      message: `The property ${JSON.stringify(name)} is now required.`
    })
  }

  #add (sides: Sides, { word, demand, path, rule, message }: Demand): void {
    const broken = this.#formulas.not(demand)
    if (broken === this.#formulas.false) return
    this.found.push({
      path, rule, message, word, reader: sides.reader, violation: sides.place(broken),
      local: [this.#formulas.schema(sides.writer), broken]
    })
  }
}

const objectMask = maskOf('object')
const arrayMask = maskOf('array')
/** A demand of the reader on the values at a place, with its description. */
type Demand = Pick<Difference, 'path' | 'rule' | 'message' | 'word'> & { readonly demand: Formula }

type Conjunct = SchemaNode & { readonly keywords: Keywords }

/** The two schemas for a place. `writers` are the writer's schema and all that it requires unconditionally. */
interface Sides {
  readonly writer: SchemaNode
  readonly reader: SchemaNode
  readonly writers: readonly Conjunct[]
  readonly place: Place
}

/** Returns the first schema that one of the writer's conjuncts has at a place. */
function firstOf (
  { writers }: Sides, schemaIn: (writer: Keywords) => SchemaNode | undefined
): SchemaNode | undefined {
  for (const { keywords } of writers) {
    const found = schemaIn(keywords)
    if (found !== undefined) return found
  }
  return undefined
}

/** Returns the schema and all schemas that it requires unconditionally. */
function conjuncts (schema: SchemaNode): Conjunct[] {
  const found = new Set([schema])
  for (const next of found) {
    if (typeof next.keywords !== 'boolean') {
      for (const part of next.keywords.allOf ?? []) found.add(part)
    }
  }
  return [...found].filter((next): next is Conjunct => typeof next.keywords !== 'boolean')
}
