import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { read, root } from '../support/repository.ts'

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
