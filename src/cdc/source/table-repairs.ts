import { quoteIdentifier, quoteTable, tableText, type TableName } from '../mappings/table-name.ts'
import {
  generatedColumnsVersion, leavesOf, leftOutOf, type PublishedEntry, type PublishedTable, type TablePart
} from './published-table.ts'

/** PostgreSQL 18 and later refuse updates of a table that has both. */
const canBeFull = ({ version }: PublishedTable, part: TablePart): boolean =>
  version < generatedColumnsVersion || part.virtual.length === 0

export const whyNotFull = (seen: PublishedTable): string =>
  leavesOf(seen).every(part => canBeFull(seen, part))
    ? ''
    : '. REPLICA IDENTITY FULL does not help: the table has a virtual generated column, and PostgreSQL would refuse ' +
      'updates of it'

/**
 * Returns the statements after which the stream carries complete old rows; undefined if PostgreSQL would then refuse
 * updates.
 */
export function fullIdentitySql (seen: PublishedTable): string | undefined {
  if (!leavesOf(seen).every(part => canBeFull(seen, part))) return undefined
  const parts = seen.parts.filter(part => part.kind !== 'f' && part.identity !== 'f')
  const { publication, version } = seen
  const listed = (publication.entries ?? []).filter(entry => leftOutOf(seen, entry).length > 0)
  const needsGenerated = version >= generatedColumnsVersion && !publication.generated &&
    parts.some(part => part.stored.length > 0)
  return [
    ...(listed.length > 0 ? [addAgainSql(seen, listed)] : []),
    ...(needsGenerated ? [publishGeneratedSql(seen)] : []),
    ...parts.map(part => `ALTER TABLE ${quoteTable(part)} REPLICA IDENTITY FULL;`)
  ].join('\n')
}

/** Returns the statements that give each part an identity with which it can be updated. */
export function identitySql (seen: PublishedTable, lacking: readonly TablePart[]): string | undefined {
  if (lacking.every(part => canBeFull(seen, part))) return fullIdentitySql(seen)
  return lacking.flatMap(part => {
    if (part.usableIndex === null) return []
    return `ALTER TABLE ${quoteTable(part)} REPLICA IDENTITY ${
      part.usableIndex === '' ? 'DEFAULT' : `USING INDEX ${quoteIdentifier(part.usableIndex)}`
    };`
  }).join('\n')
}

/** Names the tables that need a primary key, because no statement can give them an identity as they are. */
export function keysWanted (seen: PublishedTable, lacking: readonly TablePart[]): string {
  const keyless = lacking.every(part => canBeFull(seen, part)) ? [] : lacking.filter(part => part.usableIndex === null)
  return keyless.length === 0 ? '' : `. Give ${namesOf(keyless)} a primary key and REPLICA IDENTITY DEFAULT`
}

export const publishGeneratedSql = ({ publicationName }: PublishedTable): string =>
  `ALTER PUBLICATION ${quoteIdentifier(publicationName)} SET (publish_generated_columns = stored);`

/** Adds the tables again without row filter and column list, in one transaction so that the stream misses nothing. */
export function addAgainSql ({ publicationName }: PublishedTable, entries: readonly PublishedEntry[]): string {
  const name = quoteIdentifier(publicationName)
  return [
    'BEGIN;',
    ...entries.flatMap(entry =>
      ['DROP', 'ADD'].map(verb => `ALTER PUBLICATION ${name} ${verb} TABLE ONLY ${quoteTable(entry)};`)
    ),
    'COMMIT;'
  ].join('\n')
}

/** Names up to three tables. */
export const namesOf = (tables: readonly TableName[]): string =>
  tables.length > 3 ? `${namesOf(tables.slice(0, 3))} and ${tables.length - 3} more` : tables.map(tableText).join(', ')
