import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The version of the platform, from its package.json: found from the source and from dist alike. */
export const version =
  (JSON.parse(readFileSync(join(rootOf(import.meta.dirname), 'package.json'), 'utf8')) as { version: string }).version

function rootOf (folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : rootOf(dirname(folder))
}
