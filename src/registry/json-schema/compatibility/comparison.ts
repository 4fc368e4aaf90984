import { close } from './closing.ts'
import type { SchemaChange, Verdict } from './verdict.ts'
import { type Difference, Differences } from './differences.ts'
import type { Json } from '../json.ts'
import { type Reason, reasons } from './reasons.ts'
import { reachable, type SchemaNode } from '../schema-node.ts'
import type { Models } from './models.ts'
import { Solver } from './solver.ts'
import { GaveUp } from '../steps.ts'
import { WitnessSearch } from './witness-search.ts'

/**
 * Limits the steps of one comparison. A step takes about 300 ns, and up to 2 µs for schemas made to be slow, so all
 * steps take at most a few seconds. Versions of the largest schemas of SchemaStore take up to 500,000 steps.
 */
export const comparisonStepsMax = 3_000_000

/** A question gets at most a third of the steps, so that some are left for later ones. */
const questionsMin = 3

/** Limits the listed changes. */
const changesMax = 100

/** Compares the documents that a writer may send with those that a reader accepts. */
export class Comparison {
  readonly #writer: SchemaNode
  readonly #reader: SchemaNode
  readonly #solver: Solver
  readonly #witnesses: WitnessSearch
  readonly #questionSteps: number
  readonly #changes = new Map<string, SchemaChange>()
  #hasGivenUp = false

  /** Throws GaveUp if the steps run out. */
  constructor (
    writer: SchemaNode, reader: SchemaNode, { isLenient, stepsMax }: { isLenient: boolean, stepsMax: number }
  ) {
    this.#questionSteps = stepsMax / questionsMin
    const closed = isLenient ? close(writer) : writer
    this.#solver = new Solver(reachable(closed, writer, reader), stepsMax)
    this.#writer = closed !== writer && this.#isNothing(closed) ? writer : closed
    this.#reader = reader
    this.#witnesses = new WitnessSearch(this.#solver, this.#writer, reader)
  }

  /** The writer's schema as compared: closed, if the policy is lenient. */
  get writer (): SchemaNode {
    return this.#writer
  }

  get stepsUsed (): number {
    return this.#solver.stepsUsed
  }

  /** Returns the verdict. Throws GaveUp if the steps run out and no change was proved incompatible. */
  run (original: SchemaNode): Verdict {
    try {
      this.#judgeAll(original)
    } catch (error) {
      if (!(error instanceof GaveUp)) throw error
      this.#hasGivenUp = true
    }
    const changes = [...this.#changes.values()].sort((a, b) => Number(a.compatible) - Number(b.compatible))
    const compatible = changes.every(change => change.compatible)
    if (compatible && this.#hasGivenUp) throw new GaveUp()
    return { compatible, changes: changes.slice(0, changesMax) }
  }

  #judgeAll (original: SchemaNode): void {
    const differences = new Differences(this.#solver.formulas)
    differences.walk(original, this.#reader)
    let refused = 0
    for (const difference of differences.found) {
      if (refused < changesMax && this.#judge(difference) === false) refused++
    }
    for (const { path, rule, message } of differences.removals) {
      this.#note({ path, rule, compatible: true, message, direction: 'backward' })
    }
  }

  #isNothing (schema: SchemaNode): boolean {
    return isNone(this.#ask([this.#solver.formulas.schema(schema)]))
  }

  #ask (parts: Parameters<Solver['models']>[0], want = 1): Models | undefined {
    return this.#solver.findWithin(this.#questionSteps, parts, want)
  }

  /** Returns whether the difference is proved to be compatible, or undefined if the steps ran out. */
  #judge ({ path, rule, message, word, reader, violation, local }: Difference): boolean | undefined {
    const known = this.#changes.get(`${path} ${rule}`)
    if (known?.compatible === false) return false
    const change = { path, rule, message, direction: 'backward' as const }
    // A small question first: does the writer's schema for this place meet the demand, whatever surrounds it?
    if (isNone(this.#ask(local))) return this.#note({ ...change, compatible: true })
    const models = this.#ask([this.#solver.formulas.schema(this.#writer), violation])
    if (isNone(models)) return this.#note({ ...change, compatible: true })
    const witness = this.#confirm(models, violation)
    if (witness !== undefined) return this.#note({ ...change, compatible: false, witness: witness.document })
    if (models === undefined) {
      this.#hasGivenUp = true
      return undefined
    }
    const reason = this.#reasonFor(models, word, reader)
    return this.#note({
      ...change,
      rule: 'cannot-be-shown',
      compatible: false,
      reason,
      message: `${message} Compatibility cannot be proved: ${reasons[reason]}.`
    })
  }

  #note (change: SchemaChange): boolean {
    const key = `${change.path} ${change.rule}`
    if (change.compatible && this.#changes.size >= changesMax) return true
    if (!change.compatible || !this.#changes.has(key)) this.#changes.set(key, change)
    return change.compatible
  }

  #confirm (models: Models | undefined, violation: Difference['violation']): { document: Json } | undefined {
    const document = models?.values.find(value => this.#witnesses.isWitness(value))
    if (document !== undefined) return { document }
    return this.#witnesses.find(violation, Math.min(this.#solver.stepsLeft / 2, this.#questionSteps))
  }

  #reasonFor (models: Models, word: Difference['word'], reader: SchemaNode): Reason {
    if (models.values.length === 0 && models.reason !== undefined) return models.reason
    const words = new Set([
      word,
      ...[...reachable(reader, this.#writer)].flatMap(({ keywords }) =>
        typeof keywords === 'boolean' ? [] : Object.keys(keywords)
      )
    ])
    if (['contentEncoding', 'contentMediaType', 'contentSchema'].some(content => words.has(content))) return 'content'
    return words.has('unevaluatedProperties') || words.has('unevaluatedItems') ? 'unevaluated' : 'unconfirmed'
  }
}

function isNone (models: Models | undefined): boolean {
  return models?.exhausted === true && models.values.length === 0
}
