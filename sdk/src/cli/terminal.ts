import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { styleText } from 'node:util'
import { Failed } from './command.ts'

type Style = Parameters<typeof styleText>[0]

/** Styles a text for a terminal that shows colors (https://no-color.org). Elsewhere, returns it as it is. */
export const styled = (style: Style, text: string): string =>
  process.stdout.isTTY && !process.env['NO_COLOR'] ? styleText(style, text) : text

/** Writes to standard output, and resolves when a slow reader has taken it. */
export function print (text: string): Promise<void> | undefined {
  if (process.stdout.write(`${text}\n`)) return undefined
  return new Promise(resolve => process.stdout.once('drain', resolve))
}

export const note = (text: string): void => { process.stderr.write(`${text}\n`) }

/** Removes control characters, which could change what a terminal shows. */
// eslint-disable-next-line no-control-regex -- These are the characters to remove.
export const printable = (text: string): string => text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd')

/** Asks questions on the terminal, or reads the answers line by line from a pipe. */
export function questions () {
  let isHidden = false
  const { stdin, stderr } = process
  const output = new Writable({
    write (chunk: Buffer, _encoding, done) {
      if (!isHidden) stderr.write(chunk)
      done()
    }
  })
  const lines = createInterface({ input: stdin, output, terminal: stdin.isTTY && stderr.isTTY })
  const answers = lines[Symbol.asyncIterator]()
  return {
    async ask (question: string, { hidden = false, otherwise }: { hidden?: boolean, otherwise?: string } = {}) {
      stderr.write(`${question}${otherwise === undefined ? '' : ` [${otherwise}]`}: `)
      isHidden = hidden
      const { value, done = false } = await answers.next()
      isHidden = false
      if (hidden || !stdin.isTTY) stderr.write('\n')
      if (done) throw new Failed(`Cancelled: "${question}" was not answered`)
      return value === '' ? otherwise ?? '' : value as string
    },
    close: () => lines.close()
  }
}
export type Questions = ReturnType<typeof questions>
