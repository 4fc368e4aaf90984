import type { ValidateFunction } from 'ajv'
import Core from 'ajv/dist/core.js'
import draft2020 from 'ajv/dist/vocabularies/draft2020.js'
import type { CompileWork } from './compile-work.ts'
import { formattedLengthMax, numberFormats, stringFormats } from '../formats.ts'
import type { Fuel } from './fuel.ts'
import { isObject } from '../json.ts'
import { keywordsOf } from '../keywords.ts'
import { type Matcher, patternMatcher } from '../regex/pattern-matcher.ts'
import { SchemaError } from '../schema-error.ts'
import { type SliceFunction, sliceKeywords } from './slice-keywords.ts'
import type { Slice } from './slices.ts'

const Ajv = Core.default

interface CompilerOptions {
  allErrors: boolean
  /** Whether Ajv has to evaluate an `unevaluated…` keyword. */
  tracksEvaluated: boolean
  work: CompileWork
}

/**
 * Ajv's work per character of the code that it writes, and per function: 1 step for 16 characters, about 60 ns each.
 */
const charactersPerStep = 16
const functionSteps = 100

/**
 * Compiles the functions of one schema with Ajv and the registry's keywords and formats. Each function is compiled
 * before or at its first call.
 */
export class Compiler {
  /** The function of the whole schema. */
  readonly root: LazyFunction
  readonly #functions: LazyFunction[]
  readonly #ajv: InstanceType<typeof Ajv>

  constructor (fuel: Fuel, slices: readonly Slice[], { allErrors, tracksEvaluated, work }: CompilerOptions) {
    this.#functions = slices.map(slice => new LazyFunction(slice, source => this.#compile(source)))
    const [root] = this.#functions
    if (root === undefined) throw new RangeError('a schema has at least one slice')
    this.root = root
    const regExp = linearTime(fuel)
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
      code: {
        regExp,
        // Optimizing takes as long as writing the code, and does not make the code faster.
        optimize: false,
        process (code) {
          work.spend(functionSteps + Math.ceil(code.length / charactersPerStep))
          return eager(code)
        }
      }
    })
    for (const vocabulary of draft2020.default) this.#ajv.addVocabulary(vocabulary)
    for (const keyword of keywordsOf(fuel)) this.#ajv.removeKeyword(keyword.keyword as string).addKeyword(keyword)
    this.#ajv.addKeyword(fuel.keyword)
    for (const keyword of sliceKeywords(this.#functions, regExp)) this.#ajv.addKeyword(keyword)
    for (const [name, validate] of stringFormats) {
      this.#ajv.addFormat(name, text => {
        fuel.burn(Math.min(text.length, formattedLengthMax) * formatSteps)
        return validate(text)
      })
    }
    for (const [name, { min, max }] of numberFormats) {
      this.#ajv.addFormat(name, {
        type: 'number', validate: (value: number) => Number.isInteger(value) && value >= min && value <= max
      })
    }
  }

  /** Compiles the functions that have not been called yet, and yields after each. */
  * compileAll (): Generator<void, void> {
    for (const slice of [...this.#functions.slice(1), this.root]) {
      slice.compile()
      yield
    }
  }

  #compile (source: object | boolean): ValidateFunction {
    try {
      return this.#ajv.compile(source)
    } catch (error) {
      if (error instanceof SchemaError) throw error
      throw new SchemaError(`the schema does not compile: ${(error as Error).message}`, '', { cause: error })
    }
  }
}

/** A function that is compiled before or at its first call. */
class LazyFunction implements SliceFunction {
  validate: SliceFunction['validate']
  #compile: (() => ValidateFunction) | undefined

  constructor ({ write, names }: Slice, compile: (source: object | boolean) => ValidateFunction) {
    this.#compile = () => compile(write())
    this.validate = Object.assign((data: unknown, context?: object) => {
      if (names !== undefined && isSilent(names, data)) return true
      this.compile()
      return this.validate(data, context)
    }, { evaluated: {} })
  }

  compile (): void {
    if (this.#compile === undefined) return
    this.validate = this.#compile() as SliceFunction['validate']
    this.#compile = undefined
  }
}

/** Returns whether a slice does not apply to a value, so that it does not have to be compiled. */
function isSilent (names: ReadonlySet<string>, data: unknown): boolean {
  return !isObject(data) || !Object.keys(data).some(key => names.has(key))
}

/** Puts a function in parentheses, so that the engine compiles it at once and not at its first call. */
function eager (code: string): string {
  const [head, ...rest] = code.split('return function ')
  return `${head}return (function ${rest.join('return function ')})`
}

/** The steps per character of the slowest format, which takes about 50 ns. */
const formatSteps = 1

/** The steps to start RE2. Each character takes more steps, at most the size of the program. */
const matchSteps = 20

function linearTime (fuel: Fuel) {
  const matchers = new Map<string, Pick<Matcher, 'test'>>()
  const matcherOf = (source: string) => {
    const known = matchers.get(source) ?? make(source)
    matchers.set(source, known)
    return known
  }
  const make = (source: string) => {
    const matcher = patternMatcher(source)
    const stepsPerCharacter = 1 + matcher.programSize() / 8
    return {
      test (text: string) {
        fuel.burn(matchSteps + text.length * stepsPerCharacter)
        return matcher.test(text)
      },
      // Ajv distinguishes patterns by this text.
      toString: () => source
    }
  }
  return Object.assign(matcherOf, { code: 'linearTime' })
}
