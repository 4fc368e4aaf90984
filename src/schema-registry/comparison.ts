import { close } from './closing.ts'
import type { SchemaChange, Verdict } from './compatibility.ts'
import { type Difference, Differences } from './differences.ts'
import type { Json } from './json.ts'
import { type Reason, REASONS } from './reasons.ts'
import { reachable, type SchemaNode } from './schema-node.ts'
import { type Models, Solver, unknown } from './solver.ts'
import { WitnessSearch } from './witness-search.ts'

/** No question gets more than this of the time that is left, or a third of a longer deadline, so that the later ones have their turn. */
const QUESTION_MS = 250

/** More changes than this are not told one by one. */
const CHANGES_MAX = 100

/** Compares what a writer may send with what a reader takes. */
export class Comparison {
  readonly #writer: SchemaNode
  readonly #reader: SchemaNode
  readonly #solver: Solver
  readonly #witnesses: WitnessSearch
  readonly #deadline: number
  readonly #questionMs: number
  readonly #changes = new Map<string, SchemaChange>()

  constructor (writer: SchemaNode, reader: SchemaNode, { isLenient, deadlineMs }: { isLenient: boolean, deadlineMs: number }) {
    this.#deadline = performance.now() + deadlineMs
    this.#questionMs = Math.max(QUESTION_MS, deadlineMs / 3)
    const closed = isLenient ? close(writer) : writer
    this.#solver = new Solver(reachable(closed, writer, reader))
    this.#writer = closed !== writer && this.#isNothing(closed) ? writer : closed
    this.#reader = reader
    this.#witnesses = new WitnessSearch(this.#solver, this.#writer, reader)
  }

  /** The writer's schema as it was compared: closed, under the lenient policy. */
  get writer (): SchemaNode {
    return this.#writer
  }

  run (original: SchemaNode): Verdict {
    const differences = new Differences(this.#solver.formulas)
    differences.walk(original, this.#reader)
    let refused = 0
    for (const difference of differences.found) if (refused < CHANGES_MAX && !this.#judge(difference)) refused++
    for (const [path, rule, message] of differences.dropped) this.#note({ path, rule, compatible: true, message, direction: 'backward' })
    const changes = [...this.#changes.values()].sort((a, b) => Number(a.compatible) - Number(b.compatible))
    return { compatible: changes.every(({ compatible }) => compatible), changes: changes.slice(0, CHANGES_MAX) }
  }

  #isNothing (schema: SchemaNode): boolean {
    const models = this.#ask([this.#solver.formulas.schema(schema)])
    return models.exhausted && models.values.length === 0
  }

  #ask (parts: Parameters<Solver['models']>[0], want = 1): Models {
    const left = this.#deadline - performance.now()
    return left <= 0 ? unknown('gave-up') : this.#solver.findWithin(Math.min(this.#questionMs, left), parts, want)
  }

  /** Answers whether the difference is shown to be compatible. */
  #judge ({ path, rule, message, word, reader, violation, local }: Difference): boolean {
    const known = this.#changes.get(`${path} ${rule}`)
    if (known?.compatible === false) return false
    const isShown = (models: Models): boolean => models.exhausted && models.values.length === 0
    const change = { path, rule, message, direction: 'backward' as const }
    if (isShown(this.#ask(local))) { return this.#note({ ...change, compatible: true }) }
    const models = this.#ask([this.#solver.formulas.schema(this.#writer), violation])
    if (isShown(models)) { return this.#note({ ...change, compatible: true }) }
    const witness = this.#confirm(models, violation)
    if (witness !== undefined) { return this.#note({ ...change, compatible: false, witness: witness.document }) }
    const reason = this.#reasonFor(models, word, reader)
    return this.#note({ ...change, rule: 'cannot-be-shown', compatible: false, reason, message: `${message} That this is compatible cannot be shown: ${REASONS[reason]}.` })
  }

  #note (change: SchemaChange): boolean {
    const key = `${change.path} ${change.rule}`
    if (change.compatible && this.#changes.size >= CHANGES_MAX) return true
    if (!change.compatible || !this.#changes.has(key)) this.#changes.set(key, change)
    return change.compatible
  }

  #confirm ({ values }: Models, violation: Difference['violation']): { document: Json } | undefined {
    const document = values.find((value) => this.#witnesses.isWitness(value))
    if (document !== undefined) return { document }
    const left = this.#deadline - performance.now()
    return left > 20 ? this.#witnesses.find(violation, Math.min(left / 2, this.#questionMs)) : undefined
  }

  #reasonFor (models: Models, word: Difference['word'], reader: SchemaNode): Reason {
    if (performance.now() > this.#deadline) return 'gave-up'
    if (models.values.length === 0 && models.reason !== undefined) return models.reason
    const words = new Set([word, ...[...reachable(reader, this.#writer)].flatMap(({ keywords }) => typeof keywords === 'boolean' ? [] : Object.keys(keywords))])
    if (['contentEncoding', 'contentMediaType', 'contentSchema'].some((content) => words.has(content))) return 'content'
    return words.has('unevaluatedProperties') || words.has('unevaluatedItems') ? 'unevaluated' : 'unconfirmed'
  }
}
