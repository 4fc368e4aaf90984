import type pg from 'pg'
import { scopeKey, type Environment, type Scope } from '../../schemas/scope.ts'
import type { DocumentKey, DocumentState, Intent } from './intent.ts'
import type { Outcome } from './outcome.ts'
import * as statements from './statements.ts'
import { batchTextMax, BatchTooLargeError } from './batch-errors.ts'

export const documentKey = (scope: Scope, key: DocumentKey) => `${scopeKey(scope)}/${key.service}/${key.id}`

/** A document of the batch, as of the intents applied so far. */
export interface HeldDocument { scope: Scope, state: DocumentState, exists: boolean, isDirty: boolean }
export type LockedDocuments = Map<string, HeldDocument>

interface LockedRow {
  application_id: string
  environment: Environment
  service: string
  id: string
  revision: number
  /** Null for a large document. */
  data: string | null
  bytes: number
  deleted: boolean
  expires_at: number | null
  created_at: number
  updated_at: number
}

/** Locks the documents of the intents without an outcome, and returns those that exist, by `documentKey`. */
export async function lockDocuments (
  intents: readonly Intent<unknown>[], outcomes: (Outcome | undefined)[], client: pg.PoolClient
) {
  const wanted = new Map<string, statements.ScopedDocumentKey>()
  for (const [i, intent] of intents.entries()) {
    if (intent.document === undefined || outcomes[i] !== undefined) continue
    wanted.set(documentKey(intent.scope, intent.document), { scope: intent.scope, ...intent.document })
  }
  const held: LockedDocuments = new Map()
  if (wanted.size === 0) return held
  const { rows } = await client.query<LockedRow>(statements.lockDocuments([...wanted.values()]))
  const large = await readLarge(rows.filter(({ data }) => data === null), client)
  for (const row of rows) {
    const scope = scopeOf(row)
    const data = row.data ?? large?.get(row) ?? ''
    const state: DocumentState = {
      service: row.service,
      id: row.id,
      revision: row.revision,
      data: JSON.parse(data) as Record<string, unknown>,
      dataText: data,
      deleted: row.deleted,
      expiresAt: row.expires_at,
      createdAt: row.created_at,
      updatedAt: row.updated_at
    }
    held.set(documentKey(scope, state), { scope, state, exists: true, isDirty: false })
  }
  return held
}

const scopeOf = ({ application_id: applicationId, environment }: LockedRow): Scope => ({ applicationId, environment })

async function readLarge (rows: LockedRow[], client: pg.PoolClient): Promise<Map<LockedRow, string> | undefined> {
  if (rows.length === 0) return undefined
  if (rows.length > 1 && rows.reduce((sum, { bytes }) => sum + bytes, 0) > batchTextMax) {
    throw new BatchTooLargeError('the documents of the batch are too large together')
  }
  const found = await client.query<{ ordinal: number, data: string }>(
    statements.readData(rows.map(row => ({ scope: scopeOf(row), service: row.service, id: row.id })))
  )
  return new Map(found.rows.map(({ ordinal, data }) => [rows[ordinal - 1] as LockedRow, data]))
}
