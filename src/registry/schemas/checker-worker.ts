import type { CheckerReply, CheckerTask } from './checker-task.ts'
import { comparePairs } from '../json-schema/compatibility/comparison-job.ts'
import type { JsonSchema } from '../json-schema/json.ts'
import { SchemaError } from '../json-schema/schema-error.ts'
import { compileValidator } from '../json-schema/validation/validators.ts'
import { sampleOf } from '../json-schema/sample/sample.ts'
import { translateTopics } from './component-schemas.ts'
import { printTopics } from './topic-map.ts'

/** A job ends early after this many steps, which take about half a second. */
const jobStepsMax = 1_000_000

const parse = (schema: string): JsonSchema => JSON.parse(schema) as JsonSchema

/** Runs a task in a thread of the pool. Takes and returns JSON text. */
export default function check (task: string): string {
  return JSON.stringify(answer(JSON.parse(task) as CheckerTask))
}

function answer (task: CheckerTask): CheckerReply {
  try {
    return { result: run(task) }
  } catch (error) {
    if (error instanceof SchemaError) return { schemaError: { sentence: error.sentence, path: error.path } }
    throw error
  }
}

function run (task: CheckerTask): unknown {
  switch (task.kind) {
    case 'compare': return compare(task)
    case 'compile': compileValidator(parse(task.schema)); return undefined
    case 'print': return printTopics(task.topics)
    case 'translate': return translateTopics(task.topics)
    case 'sample': return sampleOf(parse(task.schema)) ?? null
  }
}

function compare ({ job: { schema, earlier, policy }, stepsMax }: Extract<CheckerTask, { kind: 'compare' }>): unknown {
  const job = { schema: parse(schema), earlier: earlier.map(one => ({ ...one, schema: parse(one.schema) })), policy }
  return comparePairs(job, { ...stepsMax !== undefined && { stepsMax }, jobStepsMax })
}
