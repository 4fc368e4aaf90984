import t from 'tap'
import * as errors from '../../src/errors.ts'
import { sources } from '../support/repository.ts'
import { generatedPart, table } from './generated.ts'

/** Matches `new NotFoundError('TOPIC_NOT_FOUND'`, the super call of INTERNAL, and a `resync` without an error class. */
const thrown = /new (\w+)\(\s*'([A-Z0-9_]+)'/g
const given = /(?<!inc\(\{ )code: '([A-Z0-9_]+)'/g

interface Place { error: string, status: string }

/** Finds where the source uses a code, so that the page cannot claim anything else. */
function placesOf (): Map<string, Place[]> {
  const places = new Map<string, Place[]>([['INTERNAL', [{ error: 'InternalServerError', status: '500' }]]])
  const add = (code: string, place: Place) => {
    const known = places.get(code) ?? []
    if (!known.some(({ error }) => error === place.error)) places.set(code, [...known, place])
  }
  for (const text of sources('src', 'plugins', 'routes').values()) {
    for (const [, name = '', code = ''] of text.matchAll(thrown)) {
      for (const error of classesOf(name, text)) add(code, { error, status: statusOf(error) })
    }
    for (const [, code = ''] of text.matchAll(given)) {
      if (code in errors.errorCodes) add(code, { error: '`resync`', status: '–' })
    }
  }
  return places
}

/** Returns a class, or the classes that a constant of that name may be. */
function classesOf (name: string, text: string): string[] {
  if (name in errors) return [name]
  return new RegExp(`const ${name} = (.*)`).exec(text)?.[1]?.match(/\w+Error/g) ?? []
}

function statusOf (error: string): string {
  const Refusal = errors[error as 'NotFoundError']
  return String(new Refusal('INTERNAL', '').status)
}

t.test('docs/ERRORS.md has every code with its sentence and the statuses that the source uses', async t => {
  const places = placesOf()
  const rows = Object.entries(errors.errorCodes).map(([code, sentence]) => {
    const own = places.get(code) ?? []
    t.ok(own.length > 0, `the source uses ${code}`)
    const distinct = (values: string[]) => [...new Set(values)].sort().join(', ')
    return [`\`${code}\``, distinct(own.map(({ status }) => status)), distinct(own.map(({ error }) => error)), sentence]
  })
  const { found, wanted } = generatedPart(
    'docs/ERRORS.md', 'codes', table(['code', 'status', 'error', 'meaning'], rows)
  )
  t.equal(found, wanted, 'run the test with UPDATE_DOCS=1 to update it')
})
