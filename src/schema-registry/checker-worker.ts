import { parentPort } from 'node:worker_threads'
import type { CheckerReply, CheckerRequest } from './checker-pool.ts'
import { checkCompatibility } from './compatibility.ts'
import type { JsonSchema } from './json.ts'
import { SchemaError } from './schema-error.ts'
import { compileValidator } from './validators.ts'

// What the thread needs is loaded: from here on its time is the schemas' own.
parentPort!.postMessage('ready')

// As text, both ways: copying ten thousand objects to another thread holds up this one longer than parsing them there.
parentPort!.on('message', (request: string) => { parentPort!.postMessage(JSON.stringify(answer(JSON.parse(request) as CheckerRequest))) })

function answer (request: CheckerRequest): CheckerReply {
  const { id } = request
  try {
    return { id, result: request.kind === 'check' ? checkCompatibility(request.input) : compile(request.schema, request.compileMs) }
  } catch (error) {
    if (error instanceof SchemaError) return { id, schemaError: { sentence: error.sentence, path: error.path } }
    return { id, error: error instanceof Error ? error.stack ?? error.message : String(error) }
  }
}

/** Twice, because the first run of code that is not warm says little of the schema. */
function compile (schema: JsonSchema, compileMs: number): void {
  const start = performance.now()
  compileValidator(schema)
  if (performance.now() - start < compileMs) return
  const again = performance.now()
  compileValidator(schema)
  const tookMs = performance.now() - again
  if (tookMs > compileMs) throw new SchemaError(`the schema takes ${Math.ceil(tookMs)} ms to compile, more than the ${compileMs} ms that are allowed; make it smaller`)
}
