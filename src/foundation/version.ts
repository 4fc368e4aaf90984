import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The folder that the platform is installed in, whether it runs from its sources or from dist. */
export const installFolder = rootOf(import.meta.dirname)

/** The version of the platform, from its package.json. */
export const version =
  (JSON.parse(readFileSync(join(installFolder, 'package.json'), 'utf8')) as { version: string }).version

function rootOf (folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : rootOf(dirname(folder))
}
