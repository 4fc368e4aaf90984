import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createConfig } from '../../src/config.ts'
import { EnvironmentVariables, secretVariables } from '../../src/config/environment-variables.ts'
import { testKey } from '../support/build.ts'
import { read, root } from '../support/repository.ts'
import { generatedPart, table } from './generated.ts'

interface Variable {
  description?: string
  default?: unknown
  minimum?: number
  maximum?: number
  pattern?: string
  anyOf?: { const: string }[]
  type?: string
}
const variables = Object.entries(EnvironmentVariables.properties as Record<string, Variable>)

function valuesOf ({ minimum, maximum, pattern, anyOf, type = '' }: Variable): string {
  if (anyOf !== undefined) return anyOf.map(one => `\`${one.const}\``).join(' ')
  if (minimum !== undefined) return `${type} ${minimum}${maximum === undefined ? ' and up' : `–${maximum}`}`
  return pattern === undefined ? type : `\`${pattern}\``
}

const defaultOf = ({ default: value }: Variable) =>
  value === undefined ? 'unset' : value === '' ? 'empty' : `\`${String(value)}\``
const rowOf = ([name, variable]: [string, Variable]) => [
  `\`${name}\`${secretVariables.has(name) ? ' (secret)' : ''}`,
  defaultOf(variable),
  valuesOf(variable),
  variable.description ?? ''
]
const head = ['name', 'default', 'values', 'meaning']

t.test('docs/CONFIG.md has every variable with its default, limits and description', async t => {
  const { found, wanted } = generatedPart('docs/CONFIG.md', 'variables', table(head, variables.map(rowOf)))
  t.equal(found, wanted, 'run the test with UPDATE_DOCS=1 to update it')
})

t.test('every variable is read', async t => {
  const config = read('src/config.ts')
  for (const [name] of variables) t.ok(config.includes(`parsed.${name}`), name)
})

t.test('.env.example has every variable with its meaning and its default, commented out', async t => {
  const lines = variables.flatMap((
    [name, { description, default: value = '' }]
  ) => [`# ${description ?? ''}`, `#${name}=${String(value)}`, ''])
  const wanted = ['# Copy to .env, and uncomment what you change. docs/CONFIG.md explains each variable.', '', ...lines]
    .join('\n')
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(join(root, '.env.example'), wanted)
  const text = read('.env.example')
  t.equal(text, wanted, 'run the test with UPDATE_DOCS=1 to update it')
  const given = Object.fromEntries(
    [...text.matchAll(/^#([A-Z_]+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value])
  )
  t.same(
    createConfig({
      ENCRYPTION_KEY: testKey,
      ...given,
      ...(given['ENCRYPTION_KEY'] === '' && { ENCRYPTION_KEY: testKey })
    }),
    createConfig({ ENCRYPTION_KEY: testKey }),
    'uncommented, .env.example changes nothing'
  )
})
