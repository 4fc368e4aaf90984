import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import addFormats from 'ajv-formats'
import { Ajv } from 'ajv'
import t from 'tap'
import { closeCodes } from '../../../src/identity/auth/close-codes.ts'
import { socketRequest } from '../../../src/delivery/sockets/protocol.ts'
import { PreparedAnswer } from '../../../src/delivery/sockets/prepared-answer.ts'
import { CloseReason } from '../../../schemas/socket-messages.ts'
import type { AnswerFields } from '../../../schemas/socket-protocol.ts'
import { root } from '../../support/repository.ts'
import { document, faultOf } from '../../support/asyncapi-payloads.ts'

/* The AsyncAPI document is valid, complete and current. conformance.test.ts compares it with a server. */

const generated = JSON.parse(JSON.stringify(document)) as typeof document
const channels = Object.entries(generated.channels)

t.test('the committed document is up to date: `npm run asyncapi` writes it', async t => {
  const committed = await readFile(join(root, 'docs/asyncapi.json'), 'utf8')
  t.ok(committed === `${JSON.stringify(document, null, 2)}\n`, 'docs/asyncapi.json is up to date')
})

t.test('the document is valid AsyncAPI 3', async t => {
  const path = createRequire(import.meta.url).resolve('@asyncapi/specs/schemas/3.0.0.json')
  // The schema brings its own meta-schema.
  const ajv = new Ajv({ strict: false, meta: false, validateSchema: false })
  addFormats.default(ajv)
  const validate = ajv.compile(JSON.parse(await readFile(path, 'utf8')) as object)
  t.ok(validate(generated), ajv.errorsText(validate.errors))
})

t.test('every reference leads to a part of the document', async t => {
  const lost: string[] = []
  const used = new Set<string>()
  const follow = (part: unknown): void => {
    if (typeof part !== 'object' || part === null) return
    if ('$ref' in part && typeof part.$ref === 'string') {
      used.add(part.$ref)
      const target = part.$ref.slice(2).split('/')
        .reduce<unknown>((value, name) => (value as Record<string, unknown> | undefined)?.[name], generated)
      if (target === undefined) lost.push(part.$ref)
    }
    for (const [key, value] of Object.entries(part)) if (key !== 'examples') follow(value)
  }
  follow(generated)
  t.same(lost, [])
  const messages = channels.flatMap(([name, { messages }]) =>
    Object.keys(messages).map(key => `#/channels/${name}/messages/${key}`)
  )
  t.same(messages.filter(message => !used.has(message)), [], 'every message has an operation')
})

t.test('the messages of an operation and of its reply belong to its channel', async t => {
  for (const [name, { channel, messages, reply }] of Object.entries(generated.operations)) {
    t.equal(channel.$ref, `#/channels/${name.split('.')[0]}`, name)
    for (const { $ref } of [...messages, ...reply?.messages ?? []]) t.ok($ref.startsWith(channel.$ref), $ref)
    t.equal(generated.operations[name]?.summary === '', false, `${name} has a summary`)
  }
})

t.test('every message has a summary, and examples that match its schema', async t => {
  for (const [name, { messages }] of channels) {
    for (const [key, { summary, examples }] of Object.entries(messages)) {
      const message = `#/channels/${name}/messages/${key}`
      t.ok(summary.length > 10, `${message} has a summary`)
      t.ok(examples.length > 0, `${message} has an example`)
      for (const { payload } of examples) t.equal(faultOf(message, payload), undefined, message)
    }
  }
})

t.test('every field has a description', async t => {
  interface Schema { $ref?: string, const?: unknown, description?: string, properties?: Record<string, Schema> }
  const schemas = generated.components.schemas as Record<string, Schema>
  const described = (schema: Schema): boolean =>
    (schema.description ?? '') !== '' || schema.const !== undefined ||
    (schema.$ref !== undefined && described(schemas[schema.$ref.split('/').at(-1) ?? ''] ?? {}))
  const bare = Object.entries(schemas).flatMap(([name, { properties = {} }]) =>
    Object.entries(properties).filter(([, schema]) => !described(schema)).map(([field]) => `${name}.${field}`)
  )
  t.same(bare, [])
})

t.test('the document has every close code and reason', async t => {
  const codes = Object.values(closeCodes)
  t.same([...CloseReason.enum as string[]].sort(), codes.map(({ reason }) => reason).sort())
  for (const [, { 'x-close-codes': listed }] of channels) t.match(listed.slice(0, codes.length), codes)
})

t.test('the answer to a request has the shape of its schema, or the code does not compile', async t => {
  socketRequest('leave', (_connection, { channel }, respond) => {
    respond({ channel })
    // @ts-expect-error -- a field is missing
    respond({})
    // @ts-expect-error -- an unknown field
    respond({ channel, left: true })
    // @ts-expect-error -- another type
    respond({ channel: 1 })
    // @ts-expect-error -- the answer to another request
    respond(new PreparedAnswer<AnswerFields<'publish'>>({ delivered: '1' }))
    // @ts-expect-error -- a field is missing
    respond(new PreparedAnswer<AnswerFields<'join'>>({ channel: '"room"' }))
  })
  // @ts-expect-error -- an unknown request
  t.throws(() => socketRequest('fly', () => {}))
})
