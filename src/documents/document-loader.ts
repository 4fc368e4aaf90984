import type pg from 'pg'
import { textArray } from '../../db/arrays.ts'
import { scopeKey, type Scope } from '../../schemas/scope.ts'
import { ServiceUnavailableError } from '../errors.ts'
import type { DocumentKey } from '../events/intent.ts'
import type { StoredDocument } from './document-json.ts'

/** The look-ups of one statement: enough to share its cost, few enough that the first does not wait for the last. */
const statementKeysMax = 500
/** The statements in flight. Further look-ups wait and share the next statement. */
const statementsMax = 3
const waitingMax = 20_000

const loadSql = `
  select k.ordinal::int, d.service, d.id, d.revision, d.data as "dataText", d.deleted, d.expires_at as "expiresAt",
    d.created_at as "createdAt", d.updated_at as "updatedAt"
  from unnest($1::text[], $2::text[], $3::text[], $4::text[])
    with ordinality as k(application_id, environment, service, id, ordinal)
  join documents d using (application_id, environment, service, id)
  where not d.deleted and (d.expires_at is null or d.expires_at > $5)`

interface Lookup {
  scope: Scope
  key: DocumentKey
  promise: Promise<StoredDocument | undefined>
  resolve (document: StoredDocument | undefined): void
  reject (error: unknown): void
}

/**
 * Reads single documents in batches: look-ups made in one turn of the event loop, or while the limit of statements is
 * in flight, share one statement. There is no cache: a statement is sent after its look-ups were made, so each look-up
 * sees every write that was acknowledged before.
 */
export class DocumentLoader {
  readonly #pool: pg.Pool
  #waiting = new Map<string, Lookup>()
  readonly #now: () => number
  #inFlight = 0
  #isScheduled = false

  constructor ({ pool, now = Date.now }: { pool: pg.Pool, now?: () => number }) {
    this.#pool = pool
    this.#now = now
  }

  /** Returns the document, or undefined if it does not exist, is deleted or has expired. */
  load (scope: Scope, key: DocumentKey): Promise<StoredDocument | undefined> {
    const name = `${scopeKey(scope)}/${key.service}/${key.id}`
    let lookup = this.#waiting.get(name)
    if (lookup === undefined) {
      if (this.#waiting.size >= waitingMax) {
        return Promise.reject(
          new ServiceUnavailableError('QUEUE_FULL', 'The read queue is full. Retry after the time in Retry-After')
        )
      }
      lookup = createLookup(scope, key)
      this.#waiting.set(name, lookup)
      this.#schedule()
    }
    return lookup.promise
  }

  #schedule (): void {
    if (this.#isScheduled || this.#inFlight >= statementsMax) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      while (this.#waiting.size > 0 && this.#inFlight < statementsMax) this.#send(this.#take())
    })
  }

  #take (): Lookup[] {
    if (this.#waiting.size <= statementKeysMax) {
      const all = [...this.#waiting.values()]
      this.#waiting = new Map()
      return all
    }
    const taken: Lookup[] = []
    for (const [name, lookup] of this.#waiting) {
      if (taken.length === statementKeysMax) break
      taken.push(lookup)
      this.#waiting.delete(name)
    }
    return taken
  }

  #send (lookups: Lookup[]): void {
    this.#inFlight++
    this.#query(lookups).then(documents => {
      for (const [i, lookup] of lookups.entries()) lookup.resolve(documents[i])
    }, (error: unknown) => {
      for (const lookup of lookups) lookup.reject(error)
    }).finally(() => {
      this.#inFlight--
      if (this.#waiting.size > 0) this.#schedule()
    })
  }

  async #query (lookups: Lookup[]): Promise<(StoredDocument | undefined)[]> {
    const { rows } = await this.#pool.query<StoredDocument & { ordinal: number }>({
      name: 'documents_load',
      text: loadSql,
      values: [
        textArray(lookups.map(({ scope }) => scope.applicationId)),
        textArray(lookups.map(({ scope }) => scope.environment)),
        textArray(lookups.map(({ key }) => key.service)),
        textArray(lookups.map(({ key }) => key.id)),
        this.#now()
      ]
    })
    const documents = new Array<StoredDocument | undefined>(lookups.length)
    for (const row of rows) documents[row.ordinal - 1] = row
    return documents
  }
}

function createLookup (scope: Scope, key: DocumentKey): Lookup {
  const lookup = { scope, key } as Lookup
  lookup.promise = new Promise((resolve, reject) => {
    lookup.resolve = resolve
    lookup.reject = reject
  })
  return lookup
}
