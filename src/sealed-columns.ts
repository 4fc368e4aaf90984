import type { SealedPlace } from './foundation/encryption/encryption.ts'

/** A column of secrets that `Encryption` has sealed, one by itself or several within JSON; `id` names its row. */
export interface SealedColumn {
  table: string
  id: string
  column: string
  type?: 'jsonb'
  /** The column with the id that the place is made of, where that is not the row's own. */
  boundTo?: string
  place: (id: string) => SealedPlace
}

const bound = (table: string, column: string) => (id: string): SealedPlace => ({ table, column, id })

/** What each secret is bound to, by the id of its row. */
export const sealedPlaces = {
  signingKey: bound('signing_keys', 'secret_sealed'),
  secondFactor: bound('users', 'mfa_secret_sealed'),
  /** Leftovers of a connection keep its string as it was sealed, so they are bound to the connection as well. */
  connection: bound('cdc_connections', 'connection_string_sealed'),
  webhook: bound('webhooks', 'secrets')
} as const

/** Every one of them: a column that is missing here stays behind when ENCRYPTION_KEY changes (`npm run reencrypt`). */
export const sealedColumns: readonly SealedColumn[] = [
  { table: 'signing_keys', id: 'id', column: 'secret_sealed', place: sealedPlaces.signingKey },
  { table: 'users', id: 'id', column: 'mfa_secret_sealed', place: sealedPlaces.secondFactor },
  { table: 'cdc_connections', id: 'id', column: 'connection_string_sealed', place: sealedPlaces.connection },
  { table: 'cdc_leftovers', id: 'id', column: 'connection_string_sealed', place: sealedPlaces.connection, boundTo: 'connection_id' },
  { table: 'webhooks', id: 'id', column: 'secrets', type: 'jsonb', place: sealedPlaces.webhook }
]
