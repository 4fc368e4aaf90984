import type { ParseArgsConfig } from 'node:util'

/** The input or the settings are wrong. Ends the command with code 2. */
export class UsageError extends Error { override name = 'UsageError' }

/** The command did its work, and the result is a failure that has been printed. Ends it with code 1. */
export class Failed extends Error { override name = 'Failed' }

type Options = NonNullable<ParseArgsConfig['options']>
export interface Values { [option: string]: string | boolean | (string | boolean)[] | undefined }

export interface Command {
  summary: string
  /** The arguments, for the first line of the help. */
  usage: string
  options: Options
  /** The help of the options and arguments, line by line. */
  help: string
  run: (values: Values, positionals: string[]) => Promise<void>
}

/** The options of every command that talks to the server. */
export const commonOptions = {
  profile: { type: 'string' }, url: { type: 'string' }, application: { type: 'string' },
  environment: { type: 'string' }, help: { type: 'boolean', short: 'h' }
} as const satisfies Options

export const commonHelp = `  --profile <name>      The profile of "login". Default: default
  --url <url>           The server
  --application <id>    The application
  --environment <name>  development, staging or production
  -h, --help            Print this help`

export const text = (value: Values[string]): string | undefined => typeof value === 'string' ? value : undefined

/** Returns the only positional arguments that a command takes. Throws UsageError for more. */
export function expectAtMost (positionals: readonly string[], max: number): void {
  const [surplus] = positionals.slice(max)
  if (surplus !== undefined) throw new UsageError(`"${surplus}" is one argument too many. Quote JSON and patterns`)
}

/** Returns an option as a whole number. */
export function wholeNumber (values: Values, name: string, min: number): number | undefined {
  const given = text(values[name])
  if (given === undefined) return undefined
  const number = Number(given)
  if (!/^\d+$/.test(given) || !Number.isSafeInteger(number) || number < min) {
    throw new UsageError(`--${name} is a whole number of at least ${min}, not "${given}"`)
  }
  return number
}

/** Returns why a file cannot be used. */
export const fileError = (path: string, { code, message }: NodeJS.ErrnoException): UsageError =>
  new UsageError(code === 'ENOENT' ? `There is no file or folder ${path}` : `${path}: ${message}`)

export function parseJson (json: string, what: string): unknown {
  try {
    return JSON.parse(json)
  } catch (error) {
    const hint = /^[\w .-]*$/.test(json.trim()) && json.trim() !== '' ? `. A text needs quotes: '"${json.trim()}"'` : ''
    throw new UsageError(`${what} is not JSON: ${(error as Error).message}${hint}`)
  }
}
