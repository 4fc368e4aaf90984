import type { ValidateFunction } from 'ajv'
import Core from 'ajv/dist/core.js'
import draft2020 from 'ajv/dist/vocabularies/draft2020.js'
import { FORMATS, FORMATTED_LENGTH_MAX, NUMBER_FORMATS } from './formats.ts'
import type { Fuel } from './fuel.ts'
import { isObject } from './json.ts'
import { keywordsOf } from './keywords.ts'
import { patternMatcher } from './pattern-matcher.ts'
import { SchemaError } from './schema-error.ts'
import { ONE_OF_SLICES, type Slice, SLICE } from './slices.ts'

const Ajv = Core.default

interface CompilerOptions {
  allErrors: boolean
  /** Whether some `unevaluated…` is left to Ajv. */
  tracksEvaluated: boolean
  isSliced: boolean
}

/** Ajv, with the registry's keywords and formats, for one schema. */
export class Compiler {
  readonly tracksEvaluated: boolean
  readonly #slices: (ValidateFunction | undefined)[] = []
  readonly #ajv: InstanceType<typeof Ajv>

  readonly #sources: readonly Slice[]

  constructor (fuel: Fuel, sources: readonly Slice[], { allErrors, tracksEvaluated, isSliced }: CompilerOptions) {
    this.tracksEvaluated = tracksEvaluated
    this.#sources = sources
    this.#ajv = new Ajv({
      next: true,
      unevaluated: tracksEvaluated,
      allErrors,
      strict: false,
      logger: false,
      meta: false,
      validateSchema: false,
      addUsedSchema: false,
      ownProperties: true,
      code: { regExp: linearTime(fuel), optimize: isSliced ? false : 1 }
    })
    for (const vocabulary of draft2020.default) this.#ajv.addVocabulary(vocabulary)
    for (const keyword of keywordsOf(fuel)) this.#ajv.removeKeyword(keyword.keyword as string).addKeyword(keyword)
    this.#ajv.addKeyword(fuel.keyword)
    this.#ajv.addKeyword({ keyword: SLICE, schemaType: 'number', errors: true, validate: this.#callSlice(fuel) })
    this.#ajv.addKeyword({ keyword: ONE_OF_SLICES, schemaType: 'array', validate: this.#callOneOf(fuel), error: { message: 'must match exactly one schema in oneOf' } })
    for (const [name, validate] of FORMATS) {
      this.#ajv.addFormat(name, text => {
        fuel.burn(Math.min(text.length, FORMATTED_LENGTH_MAX) * FORMAT_STEPS)
        return validate(text)
      })
    }
    for (const [name, { min, max }] of NUMBER_FORMATS) {
      this.#ajv.addFormat(name, { type: 'number', validate: (value: number) => Number.isInteger(value) && value >= min && value <= max })
    }
  }

  #compile (source: object | boolean): ValidateFunction {
    try {
      return this.#ajv.compile(source)
    } catch (error) {
      const reason = error instanceof RangeError ? 'the schema refers from one definition to the next too often to be compiled' : `the schema does not compile: ${(error as Error).message}`
      throw new SchemaError(reason, '', { cause: error })
    }
  }

  /** The validator of a slice, compiled when it is first asked for. */
  slice (number: number): ValidateFunction {
    const slice = this.#slices[number] ?? this.#compile(this.#sources[number]!.write())
    this.#slices[number] = slice
    return slice
  }

  #callSlice (fuel: Fuel): SliceCall {
    const call: SliceCall = (number: number, data, _schema, context) => {
      fuel.burn(SLICE_STEPS)
      call.errors = []
      if (isSilent(this.#sources[number]!, data)) return true
      const validate = this.slice(number)
      const isValid = validate(data, context)
      call.errors = validate.errors ?? []
      return isValid
    }
    return call
  }

  #callOneOf (fuel: Fuel) {
    return (numbers: number[], data: unknown): boolean => {
      let matches = 0
      for (const number of numbers) {
        fuel.burn(SLICE_STEPS)
        if (this.slice(number)(data)) matches++
      }
      return matches === 1
    }
  }
}

/** What going to another slice takes, beside what the slice itself does. */
const SLICE_STEPS = 5

/** Whether a slice has nothing to say of a value, so that it need not even be compiled. */
function isSilent ({ names }: Slice, data: unknown): boolean {
  return names !== undefined && (!isObject(data) || !Object.keys(data).some((key) => names.has(key)))
}

type SliceCall = ((number: number, data: unknown, schema?: object, context?: Parameters<ValidateFunction>[1]) => boolean) & { errors?: object[] }

/** What the slowest format takes for a character, some 50 ns. */
const FORMAT_STEPS = 1

/** What RE2 takes to begin; each character takes more, up to what the size of its program says. */
const MATCH_STEPS = 20

function linearTime (fuel: Fuel) {
  const matcherOf = (source: string) => {
    const matcher = patternMatcher(source)
    const stepsPerCharacter = 1 + matcher.programSize() / 8
    return {
      test (text: string) {
        fuel.burn(MATCH_STEPS + text.length * stepsPerCharacter)
        return matcher.test(text)
      },
      // Ajv tells patterns apart by it.
      toString: () => source
    }
  }
  return Object.assign(matcherOf, { code: 'linearTime' })
}
