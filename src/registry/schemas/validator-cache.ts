import { LRUCache } from 'lru-cache'
import type pg from 'pg'
import { scopeKey, type Scope } from '../../../schemas/scope.ts'
import { ValidationError } from '../../errors.ts'
import type { PayloadCheck, TopicCheck } from '../../events/payload-check.ts'
import type { JsonSchema } from '../json-schema/json.ts'
import { Budget } from '../json-schema/validation/fuel.ts'
import { prepareValidator, type Validator } from '../json-schema/validation/validators.ts'

/** Limits the compiled validators in memory. A version never changes, so none becomes stale. */
const validatorsMax = 1000

/**
 * Caches the compiled validators of schema versions, and checks payloads with them for the writer. A large schema is
 * compiled in steps, so that it does not block the event loop.
 */
export class ValidatorCache implements PayloadCheck {
  readonly #pool: pg.Pool
  readonly #compiled: LRUCache<string, Validator>
  readonly #compiling = new Map<string, Promise<Validator>>()

  constructor ({ pool, max = validatorsMax }: { pool: pg.Pool, max?: number }) {
    this.#pool = pool
    this.#compiled = new LRUCache({ max })
  }

  createBudget (): Budget {
    return new Budget()
  }

  prepare (scope: Scope, topic: string, version: number): TopicCheck | Promise<TopicCheck> {
    const validator = this.#compiled.get(keyOf(scope, topic, version))
    return validator === undefined
      ? this.#load(scope, topic, version).then(loaded => checkOf(topic, version, loaded))
      : checkOf(topic, version, validator)
  }

  /** Returns the validator of a version, compiled from its text. Rejects with SchemaError if it does not compile. */
  compiled (scope: Scope, topic: string, version: number, schema: string): Validator | Promise<Validator> {
    const key = keyOf(scope, topic, version)
    const validator = this.#compiled.get(key)
    if (validator !== undefined) return validator
    let compiling = this.#compiling.get(key)
    if (compiling === undefined) {
      compiling = prepareValidator(JSON.parse(schema) as JsonSchema).then(made => {
        this.#compiled.set(key, made)
        return made
      }).finally(() => this.#compiling.delete(key))
      this.#compiling.set(key, compiling)
    }
    return compiling
  }

  async #load (scope: Scope, topic: string, version: number): Promise<Validator> {
    const { rows: [row] } = await this.#pool.query<{ schema: string }>({
      name: 'schema_version',
      text: 'select schema from schemas where application_id = $1 and environment = $2 and topic = $3 and version = $4',
      values: [scope.applicationId, scope.environment, topic, version]
    })
    if (row === undefined) throw new Error(`the active version ${version} of ${topic} does not exist`)
    return await this.compiled(scope, topic, version, row.schema)
  }
}

const keyOf = (scope: Scope, topic: string, version: number) => `${scopeKey(scope)}/${topic}/${version}`

function checkOf (topic: string, version: number, validator: Validator): TopicCheck {
  return (payload, path, budget) => {
    const issues = validator.validate(payload, budget)
    if (issues.length === 0) return
    const details = issues.map(issue => ({ path: path + issue.path, message: issue.message, keyword: issue.keyword }))
    throw new ValidationError(
      'SCHEMA_VIOLATED',
      `The payload violates version ${version} of the schema of ${topic}: ${details[0]?.path ?? ''} ${
        details[0]?.message ?? ''
      }`,
      { details }
    )
  }
}
