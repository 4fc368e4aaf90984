import type { ErrorObject } from 'ajv'

/* Turns Ajv's errors into one sentence for the client. */

/** Limit of the allowed values that a message lists. */
const valuesMax = 100
const valueCharactersMax = 100

export type ValidatorError = Partial<ErrorObject>

/**
 * Returns the one error that explains a failed validation. A union reports errors of each of its members: values
 * allowed at one place become one list ("must be one of …"), and if a constant tells the members apart, only the
 * intended member is explained. The latter requires a `verbose` validator.
 */
export function explain (errors: readonly ValidatorError[]): ValidatorError {
  const leaves = leavesOf(errors)
  const depth = Math.max(...leaves.map(depthOf))
  const first = leaves.find(error => depthOf(error) === depth) ?? {}
  const same = isUnion(errors.at(-1))
    ? leaves.filter(({ instancePath }) => instancePath === first.instancePath)
    : [first]
  return { ...first, message: same.length > 1 ? messageOfAll(same) : messageOf(first) }
}

/** Returns the message of an error, with the allowed values. */
export function messageOf (error: ValidatorError): string {
  const allowed = allowedBy(error)
  if (allowed !== undefined) return listed(allowed)
  const { keyword = '', message = 'is wrong', parentSchema = {} } = error
  if (keyword === 'false schema') return 'is not allowed'
  // An example is easier to read than a regular expression.
  const [example] = keyword === 'pattern' || keyword === 'format'
    ? [(parentSchema as { examples?: unknown[] }).examples ?? []].flat()
    : []
  if (example !== undefined) return `${message}, as ${JSON.stringify(example)} does`
  return message.replace('must NOT', 'must not').replace(/(?<=than 1 )(\w+?)s$/, '$1').replace('propertie', 'property')
}

const isUnion = (error: ValidatorError | undefined): error is ValidatorError =>
  error?.keyword === 'anyOf' || error?.keyword === 'oneOf'
const depthOf = ({ instancePath = '' }: ValidatorError) => instancePath.split('/').length
const isType = ({ keyword }: ValidatorError) => keyword === 'type'

/** Returns the errors that do not merely combine others. For a union, returns those of the intended members. */
function leavesOf (errors: readonly ValidatorError[]): ValidatorError[] {
  const whole = errors.at(-1)
  if (!isUnion(whole)) return errors.filter(error => !isUnion(error))
  const { instancePath: place = '', schemaPath = '' } = whole
  const tagged = byTag(whole)
  if (tagged?.allowed !== undefined) {
    return [{ instancePath: `${place}/${tagged.tag}`, keyword: 'enum', params: { allowedValues: tagged.allowed } }]
  }
  const nameOf = (error: ValidatorError) => memberOf(error, schemaPath)
  const inner = errors.slice(0, -1)
  const members = [...new Set(inner.map(nameOf))].map(name => ({
    name, errors: inner.filter(error => nameOf(error) === name)
  }))
  const meant = tagged === undefined ? members : members.filter(({ name }) => name === `${schemaPath}/${tagged.member}`)
  return likely(meant.map(({ errors }) => leavesOf(errors)), place).flat()
}

/** Leaves out members for another type of value, and members that a constant rules out, if others remain. */
function likely (members: ValidatorError[][], place: string): ValidatorError[][] {
  const isDeep = ({ instancePath = '' }: ValidatorError) => instancePath.length > place.length
  const isLookedInto = (member: ValidatorError[]) =>
    member.some(error => isDeep(error) || error.keyword === 'required' || error.keyword === 'additionalProperties')
  const alike = members.some(isLookedInto) ? members.filter(isLookedInto) : members
  const open = alike.filter(member => !member.every(error => isDeep(error) && allowedBy(error) !== undefined))
  return open.length > 0 ? open : alike
}

/** Returns the union member that an error belongs to, by its number or by the shared schema that it is in. */
function memberOf ({ schemaPath = '' }: ValidatorError, union: string): string {
  const [number = ''] = schemaPath.startsWith(`${union}/`) ? schemaPath.slice(union.length + 1).split('/', 1) : []
  return number === '' ? schemaPath.split('#', 1)[0] ?? '' : `${union}/${number}`
}

interface Member { properties?: Record<string, { const?: unknown }> }

/**
 * For a union whose members a constant property tells apart, returns the member that the value names, or the allowed
 * names.
 */
function byTag ({ schema, data }: ValidatorError): { tag: string, member?: number, allowed?: unknown[] } | undefined {
  if (!Array.isArray(schema) || typeof data !== 'object' || data === null) return undefined
  const [first, ...others] = schema as Member[]
  const isTag = (member: Member | undefined, name: string) => member?.properties?.[name]?.const !== undefined
  const tag = Object.keys(first?.properties ?? {}).find(name =>
    isTag(first, name) && others.every(member => isTag(member, name))
  )
  if (tag === undefined) return undefined
  const names = (schema as Member[]).map(({ properties }) => properties?.[tag]?.const)
  const member = names.indexOf((data as Record<string, unknown>)[tag])
  return member === -1 ? { tag, allowed: names } : { tag, member }
}

function allowedBy ({ keyword, params = {} }: ValidatorError): readonly unknown[] | undefined {
  if (keyword === 'enum' && Array.isArray(params['allowedValues'])) return params['allowedValues']
  return keyword === 'const' && 'allowedValue' in params ? [params['allowedValue']] : undefined
}

function listed (values: readonly unknown[]): string {
  const texts = [...new Set(values.slice(0, valuesMax).map(textOf))]
  if (values.length === 0) return 'is not allowed'
  if (texts.length === 1 && values.length <= valuesMax) return `must be ${texts[0] ?? ''}`
  const more = values.length > valuesMax ? ` and ${values.length - valuesMax} more` : ''
  return `must be one of ${texts.join(', ')}${more}`
}

function textOf (value: unknown): string {
  const text = JSON.stringify(value)
  return text.length > valueCharactersMax ? `${text.slice(0, valueCharactersMax)}…` : text
}

/**
 * Combines what the members of a union allow at one place: their values in one list, or their messages joined by "or".
 */
function messageOfAll (errors: readonly ValidatorError[]): string {
  const constant = errors.filter(error => allowedBy(error) !== undefined)
  // A constant implies its type.
  const typed = new Set(constant.map(parentOf))
  const others = errors.filter(error => !constant.includes(error) && !(isType(error) && typed.has(parentOf(error))))
  const values = constant.flatMap(error => allowedBy(error) ?? [])
  const [first = '', ...rest] = new Set([...(values.length > 0 ? [listed(values)] : []), ...others.map(messageOf)])
  return [first, ...rest.map(text => text.replace(/^must be /, ''))].join(' or ')
}

const parentOf = ({ schemaPath = '' }: ValidatorError) => schemaPath.slice(0, schemaPath.lastIndexOf('/'))
