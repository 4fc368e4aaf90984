import type { CompileWork } from './validation/compile-work.ts'
import { type Dialect, dialectOf, keywordShapes, type Shape } from './dialect.ts'
import { has, isObject, type JsonSchema, pointerTo } from './json.ts'
import { checkPattern, checkShape } from './keyword-shape.ts'
import { SchemaError } from './schema-error.ts'

export const schemaBytesMax = 256 * 1024
export const schemaDepthMax = 64

export type RawSchema = boolean | Record<string, unknown>
interface Place { readonly raw: RawSchema, readonly pointer: string, readonly base: string }

const rootUri = 'document:///'

/**
 * The steps of reading. The steps for a pattern depend on the size of its program, and are higher with large classes
 * such as `\p{L}`.
 */
const steps = { object: 10, keyword: 2, pattern: 100, instruction: 1, unicodeInstruction: 25, reference: 10 }

/**
 * A schema document, checked for size and shape, with every name that a `$ref` in it can refer to. Its generators yield
 * regularly, so that reading a large document can pause.
 */
export class SchemaDocument {
  readonly dialect: Dialect
  readonly root: RawSchema
  readonly #places = new Map<RawSchema, Place>()
  readonly #names = new Map<string, Place>()
  readonly #dynamic = new Map<string, number>()
  readonly #work: CompileWork

  private constructor (schema: JsonSchema, work: CompileWork) {
    this.#work = work
    checkDepth(schema, 0)
    const text = JSON.stringify(schema) ?? ''
    if (Buffer.byteLength(text) > schemaBytesMax) {
      throw new SchemaError(`a schema must have at most ${schemaBytesMax} bytes`)
    }
    const root: unknown = text === '' ? undefined : JSON.parse(text)
    if (typeof root !== 'boolean' && !isObject(root)) throw new SchemaError('a schema must be an object or a boolean')
    this.dialect = dialectOf(root)
    this.root = root
    this.#names.set(rootUri, { raw: root, pointer: '', base: rootUri })
  }

  /** Reads a document. Throws SchemaError if it is too large, too deep, or not a schema of its dialect. */
  static * read (schema: JsonSchema, work: CompileWork): Generator<void, SchemaDocument> {
    const document = new SchemaDocument(schema, work)
    yield * document.#index(document.root, '', rootUri)
    return document
  }

  pointerOf (raw: RawSchema): string {
    return this.#placeOf(raw).pointer
  }

  #placeOf (raw: RawSchema): Place {
    return this.#places.get(raw) ?? { raw, pointer: '', base: rootUri }
  }

  /** Returns the schema that a reference in `from` refers to. Throws SchemaError if it is not in this document. */
  * resolve (from: Record<string, unknown>, reference: string): Generator<void, RawSchema> {
    if (this.#work.spend(steps.reference)) yield
    const { base, pointer } = this.#placeOf(from)
    const path = pointerTo(pointer, '$ref')
    const target = parseUri(reference, base, path)
    const [uri, fragment = ''] = splitFragment(target)
    if (fragment !== '' && !fragment.startsWith('/')) return this.#named(`${uri}#${fragment}`, reference, path).raw
    const resource = this.#named(uri, reference, path)
    return yield * this.#follow(resource, fragment, reference, path)
  }

  /** Resolves a dynamic reference like a plain one. Throws SchemaError if several schemas have its name. */
  * resolveDynamic (from: Record<string, unknown>, reference: string): Generator<void, RawSchema> {
    const name = reference.slice(reference.indexOf('#') + 1)
    if ((this.#dynamic.get(name) ?? 0) > 1) {
      throw new SchemaError(
        `$dynamicRef "${reference}" matches several $dynamicAnchor, which is not supported`,
        this.pointerOf(from)
      )
    }
    return yield * this.resolve(from, reference)
  }

  #named (uri: string, reference: string, path: string): Place {
    const place = this.#names.get(uri)
    if (place === undefined) {
      throw new SchemaError(
        `the reference "${reference}" leads outside the document or to a name that it does not have. ` +
          'References to other documents are not supported',
        path
      )
    }
    return place
  }

  * #follow (resource: Place, fragment: string, reference: string, path: string): Generator<void, RawSchema> {
    let raw: unknown = resource.raw
    for (const token of fragment.split('/').slice(1)) {
      const key = token.replaceAll('~1', '/').replaceAll('~0', '~')
      raw = typeof raw === 'object' && raw !== null && has(raw, key) ? (raw as Record<string, unknown>)[key] : undefined
    }
    if (typeof raw !== 'boolean' && !isObject(raw)) {
      throw new SchemaError(`the reference "${reference}" does not lead to a schema`, path)
    }
    // A reference may lead below an unknown keyword, where no schema was found before.
    if (!this.#places.has(raw)) yield * this.#index(raw, resource.pointer + fragment, resource.base)
    return raw
  }

  * #index (raw: RawSchema, pointer: string, parentBase: string): Generator<void, void> {
    if (typeof raw === 'boolean') return
    const shapes = keywordShapes[this.dialect]
    const words = Object.keys(raw).flatMap((word): [string, Shape][] => {
      const shape = shapes.get(word)
      return shape === undefined ? [] : [[word, shape]]
    })
    if (this.#work.spend(steps.object + steps.keyword * words.length)) yield
    for (const [word, shape] of words) {
      const path = pointerTo(pointer, word)
      checkShape(word, shape, raw[word], path, this.dialect)
      for (const pattern of patterns(raw[word], shape)) {
        const instruction = /\\p/i.test(pattern) ? steps.unicodeInstruction : steps.instruction
        if (this.#work.spend(steps.pattern + instruction * checkPattern(pattern, path))) yield
      }
    }
    const ignoresSiblings = this.dialect !== '2020-12' && typeof raw['$ref'] === 'string'
    const base = ignoresSiblings ? parentBase : this.#identify(raw, pointer, parentBase)
    this.#places.set(raw, { raw, pointer, base })
    for (const [word, shape] of words) {
      for (const [child, path] of subschemas(raw[word], shape, pointerTo(pointer, word))) {
        yield * this.#index(child, path, base)
      }
    }
  }

  /** Registers the names that a schema declares. Returns the base of the references in it. */
  #identify (raw: Record<string, unknown>, pointer: string, parentBase: string): string {
    const id = this.dialect === 'draft-04' ? raw['id'] : raw['$id']
    let base = parentBase
    if (typeof id === 'string' && id.startsWith('#') && this.dialect !== '2020-12') {
      this.#name(parentBase + id, raw, pointer, base)
    } else if (typeof id === 'string' && id !== '' && id !== '#') {
      base = splitFragment(parseUri(id, parentBase, pointerTo(pointer, '$id')))[0]
      this.#name(base, raw, pointer, base)
    }
    if (this.dialect !== '2020-12') return base
    for (const word of ['$anchor', '$dynamicAnchor']) {
      const anchor = raw[word]
      if (typeof anchor !== 'string') continue
      this.#name(`${base}#${anchor}`, raw, pointer, base)
      if (word === '$dynamicAnchor') this.#dynamic.set(anchor, (this.#dynamic.get(anchor) ?? 0) + 1)
    }
    return base
  }

  #name (uri: string, raw: Record<string, unknown>, pointer: string, base: string): void {
    const known = this.#names.get(uri)
    if (known !== undefined && known.raw !== raw) {
      throw new SchemaError(`the name "${uri.replace(rootUri, '')}" is declared twice`, pointer)
    }
    this.#names.set(uri, { raw, pointer, base })
  }
}

function patterns (value: unknown, shape: Shape): string[] {
  if (shape === 'pattern') return [value as string]
  return shape === 'pattern map' ? Object.keys(value as object) : []
}

function * subschemas (value: unknown, shape: Shape, pointer: string): Generator<[RawSchema, string]> {
  if (shape === 'schema' || shape === 'schemas' || shape === 'schema or schemas') {
    if (!Array.isArray(value)) yield [value as RawSchema, pointer]
    else for (const [i, child] of value.entries()) yield [child as RawSchema, pointerTo(pointer, i)]
  } else if (shape === 'schema map' || shape === 'pattern map' || shape === 'dependencies') {
    for (const [key, child] of Object.entries(value as object)) {
      if (!Array.isArray(child)) yield [child as RawSchema, pointerTo(pointer, key)]
    }
  }
}

function parseUri (reference: string, base: string, path: string): string {
  try {
    return new URL(reference, base).href
  } catch (error) {
    throw new SchemaError(`"${reference}" is not a URI reference`, path, { cause: error })
  }
}

function splitFragment (uri: string): [string, string?] {
  const at = uri.indexOf('#')
  if (at < 0) return [uri]
  try {
    return [uri.slice(0, at), decodeURIComponent(uri.slice(at + 1))]
  } catch {
    return [uri.slice(0, at), uri.slice(at + 1)]
  }
}

function checkDepth (value: unknown, depth: number): void {
  if (typeof value !== 'object' || value === null) return
  if (depth > schemaDepthMax) throw new SchemaError(`a schema must be nested at most ${schemaDepthMax} levels deep`)
  if (has(value, '__proto__')) throw new SchemaError('"__proto__" cannot be the name of a property')
  for (const member of Object.values(value)) checkDepth(member, depth + 1)
}
