import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../root.ts'

export { root } from '../root.ts'

export const read = (path: string): string => readFileSync(join(root, path), 'utf8')

/** Returns every TypeScript file below some folders, by its path from the root. */
export function sources (...folders: string[]): Map<string, string> {
  const paths = folders.flatMap(folder =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map(path => join(folder, path))
  )
  return new Map(paths.filter(path => path.endsWith('.ts')).map(path => [path, read(path)]))
}

export function table (head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

/**
 * Returns the text between `<!-- generated: name -->` and `<!-- end -->` in a document, and the expected text. With
 * UPDATE_DOCS=1 it updates the document first.
 */
export function generatedPart (
  path: string, name: string, wanted: string
): { found: string | undefined, wanted: string } {
  const part = new RegExp(`(?<=<!-- generated: ${name} -->\n)([\\s\\S]*?)(?=<!-- end -->)`)
  const text = read(path)
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(join(root, path), text.replace(part, () => `${wanted}\n`))
  return { found: part.exec(read(path))?.[1]?.trimEnd(), wanted }
}
