import type { Kysely } from 'kysely'
import type { Database } from '../../db/tables.ts'
import type { MappingDefinition } from '../../schemas/database.ts'
import type { CompatibilityMode, CompatibilityPolicy } from '../registry/json-schema/compatibility/compatibility-mode.ts'
import { sourceOf, type ItemRow, type StoredDeployment } from './deployment-rows.ts'

/** The part of a topic that a deployment carries. */
export interface TopicContent { description: string, owner: string }

/** An item with what it brings to the target. */
export type ItemContent =
  | { item: ItemRow, kind: 'topic', topic: string, content: TopicContent }
  | {
    item: ItemRow
    kind: 'schema'
    topic: string
    version: number
    text: string
    mode: CompatibilityMode
    policy: CompatibilityPolicy
  }
  /** The definition is undefined if the mapping was deleted. */
  | { item: ItemRow, kind: 'mapping', id: string, version: number, definition: MappingDefinition | undefined }

/** Reads the contents of a deployment's items. They do not change, except that a deleted mapping has none. */
export async function readContents (db: Kysely<Database>, { row, items }: StoredDeployment): Promise<ItemContent[]> {
  const from = sourceOf(row)
  const contents: ItemContent[] = []
  for (const item of items) {
    const version = item.version ?? 0
    if (item.kind === 'topic') {
      contents.push({
        item, kind: 'topic', topic: item.name, content: JSON.parse(item.content ?? '{}') as TopicContent
      })
    } else if (item.kind === 'schema') {
      const stored = await db.selectFrom('schemas').select(['schema', 'compatibility_mode', 'policy'])
        .where('application_id', '=', from.applicationId).where('environment', '=', from.environment)
        .where('topic', '=', item.name).where('version', '=', version).executeTakeFirstOrThrow()
      contents.push({
        item,
        kind: 'schema',
        topic: item.name,
        version,
        text: stored.schema,
        mode: stored.compatibility_mode as CompatibilityMode,
        policy: stored.policy as CompatibilityPolicy
      })
    } else {
      const stored = await db.selectFrom('mapping_versions').select('definition').where('mapping_id', '=', item.name)
        .where('version', '=', version).executeTakeFirst()
      const definition = stored && JSON.parse(stored.definition) as MappingDefinition
      contents.push({ item, kind: 'mapping', id: item.name, version, definition })
    }
  }
  return contents
}

/** Returns the topics that the items change or write to, sorted. */
export const topicsOf = (contents: readonly ItemContent[]): string[] =>
  [...new Set(contents.flatMap(content =>
    content.kind === 'mapping' ? content.definition?.topic ?? [] : content.topic
  ))].sort()
