import type { MappingProblem } from '../../../schemas/database.ts'
import type { CompiledMapping } from '../mappings/compiled-mapping.ts'
import { quoteIdentifier, quoteTable, tableText } from '../mappings/table-name.ts'
import { generatedColumnsVersion, isFull, leavesOf, leftOutOf, type PublishedTable } from './published-table.ts'
import {
  addAgainSql, fullIdentitySql, identitySql, keysWanted, namesOf, publishGeneratedSql, whyNotFull
} from './table-repairs.ts'

/**
 * `writes`: PostgreSQL refuses updates or deletes of the source application once the table is published. `loss`: the
 * stream lacks changes that the mapping needs. `none`: the mapping works, within the limits that the message describes.
 */
export type Harm = 'writes' | 'loss' | 'none'

export interface TableProblem extends MappingProblem { harm: Harm }

/**
 * Returns the problems of a mapping that reads the table through this publication, or would if the table were in it.
 */
export function problemsOf (seen: PublishedTable, mapping: CompiledMapping): TableProblem[] {
  return [
    ...writeProblems(seen),
    ...storageProblems(seen),
    ...publicationProblems(seen, mapping),
    ...listProblems(seen, mapping),
    ...blindness(seen, mapping)
  ]
}

/** Returns what would make PostgreSQL refuse the source application's updates or deletes. */
export function writeProblems (seen: PublishedTable): TableProblem[] {
  const { version, publication, publicationName } = seen
  const leaves = leavesOf(seen)
  if (!publication.operations.some(operation => operation !== 'insert')) return []
  const problems: TableProblem[] = []
  const lacking = leaves.filter(part => part.identity !== 'f' && part.identityColumns === null)
  if (lacking.length > 0) {
    problems.push({
      harm: 'writes',
      code: 'REPLICA_IDENTITY',
      message: `${namesOf(lacking)} has no replica identity: ${writesRefused}${keysWanted(seen, lacking)}`,
      ...sqlOf(identitySql(seen, lacking))
    })
  }
  if (version < generatedColumnsVersion) return problems
  const virtual = leaves.filter(part => part.identity === 'f' && part.virtual.length > 0)
  if (virtual.length > 0) {
    problems.push({
      harm: 'writes',
      code: 'GENERATED_COLUMNS',
      message: `${namesOf(virtual)} has REPLICA IDENTITY FULL and a virtual generated column: ${writesRefused}${
        keysWanted(seen, virtual)
      }`,
      ...sqlOf(identitySql(seen, virtual))
    })
  }
  const stored = publication.generated
    ? []
    : leaves.filter(part =>
      part.stored.length > 0 &&
      (part.identity === 'f' || part.identityColumns?.some(column => part.stored.includes(column)))
    )
  if (stored.length > 0) {
    const message = `The replica identity of ${
      namesOf(stored)
    } has a generated column that ${publicationName} does not publish: ${writesRefused}`
    problems.push({ harm: 'writes', code: 'GENERATED_COLUMNS', message, sql: publishGeneratedSql(seen) })
  }
  return problems
}

/** Finds tables whose changes are not in the WAL, and so not in the stream. */
function storageProblems (seen: PublishedTable): TableProblem[] {
  const problems: TableProblem[] = []
  const unlogged = leavesOf(seen).filter(part => part.persistence !== 'p')
  if (unlogged.length > 0) {
    const sql = unlogged.filter(part => part.persistence === 'u').map(part =>
      `ALTER TABLE ${quoteTable(part)} SET LOGGED;`
    ).join('\n')
    problems.push({
      harm: 'loss',
      code: 'UNLOGGED',
      message: `${namesOf(unlogged)} is unlogged or temporary: its changes are not in the stream`,
      ...sqlOf(sql)
    })
  }
  const foreign = seen.parts.filter(part => part.kind === 'f')
  if (foreign.length > 0) {
    problems.push({
      harm: 'none',
      code: 'FOREIGN_PARTITION',
      message: `${namesOf(foreign)} is a foreign table: its changes are not in the stream`
    })
  }
  return problems
}

function publicationProblems (
  { table, parts, publication, publicationName }: PublishedTable, { definition }: CompiledMapping
): TableProblem[] {
  const problems: TableProblem[] = []
  const name = quoteIdentifier(publicationName)
  const missing = definition.events.filter(operation => !publication.operations.includes(operation))
  if (missing.length > 0) {
    const message = `The publication ${publicationName} does not publish ${missing.join(' or ')}`
    const breaks = publication.unidentified !== null && !publication.operations.some(operation =>
      operation !== 'insert'
    ) && missing.some(operation => operation !== 'insert')
    problems.push(
      breaks
        ? {
            harm: 'loss',
            code: 'OPERATION_NOT_PUBLISHED',
            message: `${message}. First give ${
            publication.unidentified ?? ''
          } a replica identity; otherwise PostgreSQL would refuse updates and deletes of it`
          }
        : {
            harm: 'loss',
            code: 'OPERATION_NOT_PUBLISHED',
            message,
            sql: `ALTER PUBLICATION ${name} SET (publish = '${
            [...publication.operations, ...missing, 'truncate'].join(', ')
          }');`
          }
    )
  }
  if (!publication.viaRoot && parts.some(part => part.kind === 'p')) {
    problems.push({
      harm: 'none',
      code: 'PARTITIONS_APART',
      message: `The publication ${publicationName} publishes the partitions of ${
        tableText(table)
      } separately: changes of a partition that is dropped before they are read make no event`,
      sql: `ALTER PUBLICATION ${name} SET (publish_via_partition_root = true);`
    })
  }
  return problems
}

/** Finds row filters and column lists, which only publications that were created by hand have. */
function listProblems (seen: PublishedTable, mapping: CompiledMapping): TableProblem[] {
  const { publication, publicationName } = seen
  const problems: TableProblem[] = []
  const entries = publication.entries ?? []
  const filtered = entries.filter(({ filter }) => filter !== null)
  if (filtered.length > 0) {
    problems.push({
      harm: 'loss',
      code: 'ROW_FILTER',
      message: `The publication ${publicationName} has a row filter for ${
        namesOf(filtered)
      }: changes of other rows are not in the stream`,
      sql: addAgainSql(seen, filtered)
    })
  }
  const listed = entries.filter(entry => leftOutOf(seen, entry).length > 0)
  const leftOut = new Set(listed.flatMap(entry => leftOutOf(seen, entry)))
  if (leftOut.size === 0) return problems
  const needed = mapping.definition.payload === undefined
    ? [...leftOut]
    : [...mapping.columns.keys()].filter(column => leftOut.has(column))
  const list = `The publication ${publicationName} has a column list for ${namesOf(listed)}`
  if (
    publication.operations.some(operation => operation !== 'insert') &&
    leavesOf(seen).some(part => part.identity === 'f' || part.identityColumns?.some(column => leftOut.has(column)))
  ) {
    problems.push({
      harm: 'writes',
      code: 'COLUMN_LIST',
      message: `${list} that leaves out columns of the replica identity: ${writesRefused}`,
      sql: addAgainSql(seen, listed)
    })
  } else if (needed.length > 0) {
    problems.push({
      harm: 'loss',
      code: 'COLUMN_LIST',
      message: `${list} without ${needed.join(', ')}`,
      sql: addAgainSql(seen, listed)
    })
  }
  return problems
}

/** Finds columns that are compared with their old values though the stream lacks those. */
function blindness (seen: PublishedTable, mapping: CompiledMapping): TableProblem[] {
  const leaves = leavesOf(seen)
  if (writeProblems(seen).length > 0 || isFull(seen)) return []
  const blind = mapping.watched.filter(column => !leaves.every(part => part.identityColumns?.includes(column)))
  if (blind.length === 0) return []
  return [{
    harm: 'none',
    code: 'REPLICA_IDENTITY',
    message: `The stream lacks the old values of ${tableText(seen.table)}: each update of it counts as a change of ${
      blind.join(', ')
    }${whyNotFull(seen)}`,
    ...sqlOf(fullIdentitySql(seen))
  }]
}

const writesRefused = 'once it is published, PostgreSQL refuses updates and deletes of it'

const sqlOf = (sql: string | undefined) => sql === undefined || sql === '' ? {} : { sql }
