import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { compareSchemas, type JsonSchema } from '../../../src/registry/json-schema/compatibility/compatibility.ts'
import type { CompatibilityPolicy } from '../../../src/registry/json-schema/compatibility/compatibility-mode.ts'
import { compileValidator } from '../../../src/registry/json-schema/validation/validators.ts'
import { root } from '../../support/repository.ts'

interface Case { id: string, original: JsonSchema, updated: JsonSchema, compatibility: 'backward' | 'both' | 'none' }

const file = join(root, '../shared/data/apicurio-compatibility-test-data.json')

/** Cases labelled backward compatible, with a document that is valid for the original but not the updated schema. */
const notBackward: Record<string, unknown> = {
  'Complex: oneOf 1': 'abcdefgh',
  'Complex: oneOf 3': 'abc'
}

/** Cases labelled compatible both ways, with a document that is valid for the updated but not the original schema. */
const notForward: Record<string, unknown> = {}

/**
 * Cases labelled incompatible, although every document of the original is valid for the updated schema. No document can
 * prove that, so each case has the reason, and the test tries to refute it with documents.
 */
const backwardNonetheless: Record<string, { because: string, documents: unknown[] }> = {
  'String: pattern 2': {
    because: 'patterns are not anchored: "[a-z]*" and "[A-Z]*" match (the empty part of) every string',
    documents: ['', 'a', 'A', '1', 'aA', '\n']
  },
  'Conditional: if': {
    because: 'the same: the patterns under then and else match every string',
    documents: [{}, { case: 'lower', data: 'A' }, { case: 'upper', data: 'a' }, { data: 'x1' }]
  },
  Const: {
    because: 'a string is never equal to an array: the original accepts nothing at all',
    documents: ['', ['3.141592653589793238462643383279'], 'π', '3.141592653589793238462643383279']
  }
}

const skip = existsSync(file) ? false : 'shared/data is not there'
t.test('verdicts agree with the published cases of Apicurio, except for labels proved wrong', { skip }, t => {
  const { tests } = JSON.parse(readFileSync(file, 'utf8')) as { tests: Case[] }
  for (const policy of ['strict', 'lenient'] as const) {
    t.test(`backward, ${policy}`, t => {
      const agreed = tests.filter(one =>
        compareSchemas(one.original, one.updated, { policy }).compatible === (one.compatibility !== 'none')
      ).length
      t.comment(`${agreed} of ${tests.length} labels agreed with`)
      for (const one of tests) checkBackward(t, one, policy)
      t.end()
    })
  }
  t.test('forward, strict, for cases labelled both', t => {
    for (const { id, original, updated, compatibility } of tests) {
      if (compatibility !== 'both') continue
      const verdict = compareSchemas(updated, original, { policy: 'strict' })
      t.equal(verdict.compatible, !(id in notForward), id)
    }
    t.end()
  })
  t.end()
})

function checkBackward (t: Test, { id, original, updated, compatibility }: Case, policy: CompatibilityPolicy): void {
  const verdict = compareSchemas(original, updated, { policy })
  const nonetheless = backwardNonetheless[id]
  if (id in notBackward) {
    t.equal(verdict.compatible, false, id)
    t.ok(compileValidator(original).isValid(notBackward[id]), `${id}: the original accepts the witness`)
    t.notOk(compileValidator(updated).isValid(notBackward[id]), `${id}: the updated schema refuses it`)
  } else if (nonetheless !== undefined && compatibility === 'none') {
    const { because, documents } = nonetheless
    t.equal(verdict.compatible, true, `${id}: ${because}`)
    for (const document of documents) {
      t.notOk(compileValidator(original).isValid(document) && !compileValidator(updated).isValid(document))
    }
  } else t.equal(verdict.compatible, compatibility !== 'none', id)
}
