import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { decodeEvents, encodeEvents } from '../../src/delivery/event-packet.ts'
import { LoggedEvent } from '../../src/events/envelope.ts'

const scope = { applicationId: 'app_x', environment: 'staging' as const }
const json = fc.json()

t.test('decoding a packet returns the encoded events', async t => {
  fc.assert(fc.property(
    fc.array(
      fc.record({
        payload: json, diff: fc.option(json, { nil: undefined }), meta: fc.option(json, { nil: undefined }),
        key: fc.option(fc.string({ unit: 'binary' })), schemaVersion: fc.option(fc.nat())
      }),
      { minLength: 1, maxLength: 5 }
    ),
    drafts => {
      const events = drafts.map((draft, i) =>
        new LoggedEvent(scope, { topic: 'a.b', type: 'topic.event', source: 'api', ...draft }, {
          id: `evt_${i}`,
          offset: i + 1,
          epoch: 'e',
          timestamp: 5
        })
      )
      assert.deepEqual(decodeEvents(scope, 'a.b', encodeEvents(events)), events)
    }
  ))
  t.pass('a hundred packets of up to five')
})
