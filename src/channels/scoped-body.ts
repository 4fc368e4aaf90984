import { scopeKey, type Environment, type Scope } from '../../schemas/scope.ts'

/* The bodies of messages and questions between nodes that are about one scope. */

/** Joins fields by line breaks. Only the last one may contain them; scope keys and channel names cannot. */
export const toBody = (scope: Scope, ...rest: string[]) => [scopeKey(scope), ...rest].join('\n')

export function parse (body: string): [scope: Scope, name: string, text: string] {
  const [key = '', name = ''] = body.split('\n', 2)
  const [applicationId = '', environment] = key.split('/')
  return [{ applicationId, environment: environment as Environment }, name, body.slice(key.length + name.length + 2)]
}
