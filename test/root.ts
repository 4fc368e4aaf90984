import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The folder of the repository, whether tests run from their sources or from dist. */
export const root = rootAbove(import.meta.dirname)

function rootAbove (folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : rootAbove(dirname(folder))
}
