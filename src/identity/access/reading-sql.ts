import { sql, type RawBuilder } from 'kysely'
import type { PermissionSet } from './permission-set.ts'
import { channelTopics, documentPrefix } from './reading.ts'

/**
 * Returns `coversEvent` as an SQL condition on the columns `topic` and `key` of a table, or undefined if the
 * permissions cover every event.
 */
export function coversEventSql (held: PermissionSet, table: string): RawBuilder<boolean> | undefined {
  const { subscribe } = held
  const mayReadDocuments = held.allows('documents:read')
  if (subscribe.isAll && mayReadDocuments) return undefined
  const [topic, key] = [sql.ref(`${table}.topic`), sql.ref(`${table}.key`)]
  const isOfTopics = subscribe.isAll ? sql`true` : sql`${topic} ~ any(${subscribe.patterns.map(expressionOf)}::text[])`
  if (mayReadDocuments) return sql<boolean>`(${isOfTopics})`
  const isOfDocument = sql`(${topic} = any(${[
    ...channelTopics
  ]}::text[]) and starts_with(coalesce(${key}, ''), ${documentPrefix}))`
  return sql<boolean>`(${isOfTopics} and not ${isOfDocument})`
}

/**
 * Returns the regular expression of a topic pattern. Only dots and stars in a pattern are special in a regular
 * expression.
 */
function expressionOf (pattern: string): string {
  const segments = pattern.split('.').map(segment => segment === '**' ? '.+' : segment === '*' ? '[^.]+' : segment)
  return `^${segments.join('\\.')}$`
}
