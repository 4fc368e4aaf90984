import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The folder of the repository, whether tests run from their sources or from dist. */
export const root = rootAbove(import.meta.dirname)

function rootAbove (folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : rootAbove(dirname(folder))
}

export const read = (path: string): string => readFileSync(join(root, path), 'utf8')

/** Returns every TypeScript file below some folders, by its path from the root. */
export function sources (...folders: string[]): Map<string, string> {
  const paths = folders.flatMap(folder =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map(path => join(folder, path))
  )
  return new Map(paths.filter(path => path.endsWith('.ts')).map(path => [path, read(path)]))
}
