/** A column of secrets that `Encryption` has sealed, one by itself or several within JSON; `id` names its row. */
export interface SealedColumn { table: string, id: string, column: string, type?: 'jsonb' }

/** Every one of them: what is not in here stays behind when ENCRYPTION_KEY changes (`npm run reencrypt`). */
export const sealedColumns: readonly SealedColumn[] = [
  { table: 'signing_keys', id: 'id', column: 'secret_sealed' },
  { table: 'users', id: 'id', column: 'mfa_secret_sealed' },
  { table: 'cdc_connections', id: 'id', column: 'connection_string_sealed' },
  { table: 'cdc_leftovers', id: 'id', column: 'connection_string_sealed' },
  { table: 'webhooks', id: 'id', column: 'secrets', type: 'jsonb' }
]
