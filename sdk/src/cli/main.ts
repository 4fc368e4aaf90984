#!/usr/bin/env node
import { parseArgs } from 'node:util'
import { RealtimeError } from '../errors.ts'
import { Failed, UsageError, type Command } from './command.ts'
import { doctor } from './commands/doctor.ts'
import { generate } from './commands/generate.ts'
import { login } from './commands/login.ts'
import { logout } from './commands/logout.ts'
import { publish } from './commands/publish.ts'
import { tail } from './commands/tail.ts'
import { adviceFor } from './advice.ts'
import { nearest } from './nearest.ts'
import { version } from './version.ts'

/* The command line. Exit codes: 0 success, 1 the command failed, 2 wrong usage or settings. */

const commands: Record<string, Command> = { login, logout, generate, tail, publish, doctor }

const overview = () => `Usage: realtime-platform <command> [options]

Commands:
${Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(10)} ${summary}`).join('\n')}

"realtime-platform <command> --help" describes the options.
Exit codes: 0 success, 1 the command failed, 2 wrong usage or settings.`

const helpOf = (name: string, { summary, usage, help }: Command) =>
  `${summary}.\n\nUsage: realtime-platform ${name} ${usage}\n\n${help}`

const write = (text: string): void => { process.stdout.write(`${text}\n`) }

async function main ([first, ...rest]: string[]): Promise<void> {
  if (first === '--version' || first === '-v') return write(version)
  const isHelp = first === 'help' || first === '--help' || first === '-h'
  const name = isHelp ? rest[0] : first
  if (name === undefined) {
    write(overview())
    if (!isHelp) process.exitCode = 2
    return
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) {
    const meant = nearest(name, Object.keys(commands))
    const hint = meant === undefined ? 'Run "realtime-platform help"' : `Did you mean "${meant}"?`
    throw new UsageError(`There is no command "${name}". ${hint}`)
  }
  if (isHelp) return write(helpOf(name, command))
  const { values, positionals } = parse(name, command, rest)
  if (values['help'] === true) return write(helpOf(name, command))
  await command.run(values, positionals)
}

function parse (name: string, { options }: Command, args: string[]) {
  try {
    return parseArgs({ args, options, allowPositionals: true })
  } catch (error) {
    const unknown = /^Unknown option '--([^']+)'/.exec((error as Error).message)?.[1]
    const meant = unknown === undefined ? undefined : nearest(unknown, Object.keys(options))
    throw new UsageError(unknown === undefined
      ? (error as Error).message
      : `There is no option --${unknown}. ` +
        (meant === undefined ? `Run "realtime-platform ${name} --help"` : `Did you mean --${meant}?`))
  }
}

/** Prints one sentence, without a stack trace, and returns the exit code. */
function report (error: unknown): number {
  const message = messageOf(error)
  if (message !== '') process.stderr.write(`${hideTokens(message)}\n`)
  return error instanceof UsageError ? 2 : 1
}

function messageOf (error: unknown): string {
  if (!(error instanceof Error)) return `Unexpected error: ${String(error)}`
  // A command that has printed its failure has no message.
  const sentence = error.message.replace(/([^.?])$/, '$1.')
  if (error instanceof UsageError || error instanceof Failed) return sentence
  return error instanceof RealtimeError ? sentence + adviceFor(error) : `Unexpected error: ${sentence}`
}

/** A credential must not get into the logs of a CI by way of an error. */
const hideTokens = (message: string) =>
  message.replace(/\b(?:sess_|rtk_|eyJ)[\w.-]{16,}/g, '(hidden)')

// The reader of a pipe has ended, as `head` does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))

try {
  await main(process.argv.slice(2))
} catch (error) {
  process.exitCode = report(error)
}
