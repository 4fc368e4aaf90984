import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { scopeKey, type Scope } from '../../../schemas/scope.ts'
import { ServiceUnavailableError } from '../../errors.ts'
import type { CheckerPool } from './checker-pool.ts'
import type { CheckerJob } from './checker-task.ts'
import { type PairVerdict, sumUp } from '../json-schema/compatibility/comparison-job.ts'
import { GaveUp, type Verdict } from '../json-schema/compatibility/compatibility.ts'
import {
  type CompatibilityMode, type CompatibilityPolicy, type Direction, directionsOf
} from '../json-schema/compatibility/compatibility-mode.ts'

/** An earlier version, and the length of its schema's text. */
export interface EarlierVersion { version: number, bytes: number }

export interface ComparisonInput {
  /** The text of the schema. */
  schema: string
  mode: CompatibilityMode
  policy: CompatibilityPolicy
  /** In ascending order. */
  earlier: readonly EarlierVersion[]
}

export interface ComparisonsOptions {
  checker: CheckerPool
  /** Reads the schemas of versions as text, in any order. */
  load (scope: Scope, topic: string, versions: number[]): Promise<{ version: number, schema: string }[]>
  /** Limits the steps of all pairs of one request. */
  stepsMax?: number
}

/** About 20 s of one thread. */
const requestStepsMax = 60_000_000

/** Limits the texts of one job, so that a thousand large versions are never in memory at once. */
const jobBytesMax = 1024 * 1024
const jobVersionsMax = 100

/** Limits the listed changes. Incompatible changes come first. */
const changesMax = 1_000

const verdictsBytesMax = 32 * 1024 * 1024

/** A version and a direction in which the schema is compared with it. */
interface Pair { version: number, direction: Direction, key: string }

/**
 * Compares a schema with a topic's earlier versions, pair by pair, and caches the verdict of each pair: a registration
 * reuses the verdicts of a dry run, and a retry of a request that reached its limit continues where it stopped.
 *
 * Verdicts are cached in memory, not in a table. A verdict depends only on the two schemas, so every node computes the
 * same one; a table would have to be emptied with each change of the checker, and dry runs would write to the database.
 * A cached verdict never becomes stale, because a version is never overwritten.
 */
export class Comparisons {
  readonly #options: ComparisonsOptions
  readonly #verdicts = new LRUCache<string, string>({
    maxSize: verdictsBytesMax, sizeCalculation: (verdict, key) => 2 * (verdict.length + key.length) + 100
  })

  constructor (options: ComparisonsOptions) {
    this.#options = options
  }

  /**
   * Returns the verdict for all pairs. Throws ServiceUnavailableError `SCHEMA_COMPARISON_LIMIT` if the steps of a pair
   * or of the request run out before there is a verdict.
   */
  async compare (scope: Scope, topic: string, input: ComparisonInput): Promise<Verdict & { comparedWith: number[] }> {
    const pairs = pairsOf(scope, topic, input)
    const found = await this.#verdictsOf(scope, topic, input, pairs)
    const { compatible, changes } = sumUpOr(found, version => limitOfPair(topic, version))
    const sorted = changes.toSorted((a, b) => Number(a.compatible) - Number(b.compatible))
    const comparedWith = pairs.length === 0 ? [] : input.earlier.map(({ version }) => version)
    return { compatible, changes: sorted.slice(0, changesMax), comparedWith }
  }

  async #verdictsOf (scope: Scope, topic: string, input: ComparisonInput, pairs: Pair[]): Promise<PairVerdict[]> {
    const bytes = new Map(input.earlier.map(one => [one.version, one.bytes]))
    const found = new Map<string, PairVerdict>()
    let stepsLeft = this.#options.stepsMax ?? requestStepsMax
    for (;;) {
      for (const { key, version, direction } of pairs) {
        const known = found.has(key) ? undefined : this.#verdicts.get(key)
        if (known === undefined) continue
        found.set(key, { version, direction, changes: JSON.parse(known) as PairVerdict['changes'] })
      }
      const missing = pairs.filter(({ key }) => !found.has(key))
      if (missing.length === 0) return pairs.flatMap(({ key }) => found.get(key) ?? [])
      if (stepsLeft <= 0) throw limitOfRequest(topic, pairs.length - missing.length, pairs.length)
      const job = await this.#jobOf(scope, topic, input, nextOf(missing, bytes))
      const { pairs: compared, steps } = await this.#options.checker.compare(job, scope.applicationId)
      stepsLeft -= steps
      const keys = new Map(missing.map(pair => [`${pair.version} ${pair.direction}`, pair.key]))
      for (const pair of compared) {
        const key = keys.get(`${pair.version} ${pair.direction}`)
        if (key === undefined) continue
        found.set(key, pair)
        this.#verdicts.set(key, JSON.stringify(pair.changes))
      }
    }
  }

  async #jobOf (scope: Scope, topic: string, { schema, policy }: ComparisonInput, pairs: Pair[]): Promise<CheckerJob> {
    const versions = [...new Set(pairs.map(({ version }) => version))]
    const texts = new Map((await this.#options.load(scope, topic, versions)).map(row => [row.version, row.schema]))
    const earlier = versions.map(version => ({
      version,
      schema: textOf(texts, version),
      directions: pairs.filter(pair => pair.version === version).map(({ direction }) => direction)
    }))
    return { schema, policy, earlier }
  }
}

function textOf (texts: ReadonlyMap<number, string>, version: number): string {
  const text = texts.get(version)
  if (text === undefined) throw new Error(`schema version ${version} was listed but cannot be read`)
  return text
}

/** Returns the pairs of the request, last versions first: a change is most likely to break those. */
function pairsOf (scope: Scope, topic: string, { schema, mode, policy, earlier }: ComparisonInput): Pair[] {
  const hash = createHash('sha256').update(schema).digest('base64url')
  return earlier.toReversed().flatMap(({ version }) => directionsOf(mode).map(direction =>
    ({ version, direction, key: [scopeKey(scope), topic, version, direction, policy, hash].join(' ') })))
}

/** Returns as many pairs as one job takes, and always the first. */
function nextOf (pairs: Pair[], bytes: ReadonlyMap<number, number>): Pair[] {
  const versions = new Set<number>()
  let sum = 0
  return pairs.filter(({ version }) => {
    if (versions.has(version)) return true
    const size = bytes.get(version) ?? 0
    if (versions.size > 0 && (sum + size > jobBytesMax || versions.size >= jobVersionsMax)) return false
    sum += size
    versions.add(version)
    return true
  })
}

function sumUpOr (pairs: PairVerdict[], limit: (version: number) => Error): Verdict {
  try {
    return sumUp(pairs)
  } catch (error) {
    if (!(error instanceof GaveUp)) throw error
    const pair = pairs.find(({ changes }) => changes === 'gave-up')
    throw pair === undefined ? error : limit(pair.version)
  }
}

const limitOfPair = (topic: string, version: number) =>
  new ServiceUnavailableError(
    'SCHEMA_COMPARISON_LIMIT',
    `Comparing the schema with version ${version} of ${topic} takes more steps than allowed. Simplify the schema, or ` +
      'register it with the compatibility mode none',
    { retryAfterS: 60 }
  )

const limitOfRequest = (topic: string, compared: number, all: number) =>
  new ServiceUnavailableError(
    'SCHEMA_COMPARISON_LIMIT',
    `The request reached its limit after ${compared} of ${all} comparisons with versions of ${topic}. ` +
      'Retry after 1 s to continue with the others',
    { retryAfterS: 1 }
  )
