import { readFile } from 'node:fs/promises'
import { unwrap } from '../../admin/index.ts'
import { commonHelp, commonOptions, expectAtMost, Failed, fileError, text, UsageError, type Command } from '../command.ts'
import { adminOf, settings, writeAtomically } from '../settings.ts'
import { note, print, styled } from '../terminal.ts'

export const generate: Command = {
  summary: 'Write the TypeScript types of the registry',
  usage: '[-o <file>] [--check]',
  options: { ...commonOptions, output: { type: 'string', short: 'o' }, check: { type: 'boolean' } },
  help: `  -o, --output <file>   The file to write. Default: standard output
  --check               Write nothing. Exit with 1 if the file is not up to date
${commonHelp}

The file exports TopicMap, with the payload of every topic that has a schema:
  const client = new RealtimeClient<TopicMap>({ url, token })`,

  async run (values, positionals) {
    expectAtMost(positionals, 0)
    const file = text(values['output'])
    const isCheck = values['check'] === true
    if (isCheck && file === undefined) throw new UsageError('--check compares with a file. Name it with -o')
    const wanted = await unwrap(adminOf(await settings(values)).GET('/api/schemas/types.ts', { parseAs: 'text' }))
    if (file === undefined) {
      await print(wanted.trimEnd())
      return
    }
    const found = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw fileError(file, error)
    })
    if (found === wanted) return note(`${file} is up to date.`)
    if (!isCheck) {
      await writeAtomically(file, wanted).catch((error: NodeJS.ErrnoException) => { throw fileError(file, error) })
      return note(`${file} is written.`)
    }
    if (found === undefined) throw new Failed(`${file} does not exist. Run "realtime-platform generate -o ${file}"`)
    for (const line of difference(found, wanted)) await print(line)
    throw new Failed(`${file} is stale. Run "realtime-platform generate -o ${file}"`)
  }
}

const shownMax = 20

/** Returns the lines from the first difference to the last. */
function difference (found: string, wanted: string): string[] {
  const [before, after] = [found.split('\n'), wanted.split('\n')]
  let start = 0
  while (start < before.length && before[start] === after[start]) start++
  let end = 0
  while (end < Math.min(before.length, after.length) - start && before.at(-1 - end) === after.at(-1 - end)) end++
  const marked = (lines: string[], mark: string, style: 'red' | 'green') => {
    const changed = lines.slice(start, lines.length - end)
    const rest = changed.length - shownMax
    return [
      ...changed.slice(0, shownMax).map(line => styled(style, `${mark} ${line}`)),
      ...rest > 0 ? [`${mark} … ${rest} more lines`] : []
    ]
  }
  return [`From line ${start + 1}:`, ...marked(before, '-', 'red'), ...marked(after, '+', 'green')]
}
