import type { ActiveSchemas } from './active-schemas.ts'
import type { CheckerPool } from './checker-pool.ts'
import type { Scope } from '../../../schemas/scope.ts'
import { patiently } from './patience.ts'

/**
 * Yields a TypeScript file with the interface `TopicMap`, which has the type of the payloads of each topic. The same
 * topics and versions always have the same text, so that it can be compared with a committed file.
 */
export async function * typeFile (
  { applicationId, environment }: Scope, schemas: ActiveSchemas, checker: CheckerPool
): AsyncGenerator<string, void> {
  yield header(applicationId, environment)
  if (schemas.topics.length === 0) yield '\nexport interface TopicMap {}\n'
  for await (const topics of schemas.pages()) {
    yield `\n${await patiently(async () => await checker.print(topics, applicationId))}`
  }
}

const header = (applicationId: string, environment: string): string => `/*
 * The payloads of all topics of the application ${applicationId} in ${environment}, by topic.
 * Generated from the active schemas by GET /api/schemas/types.ts. Do not edit.
 */
`
