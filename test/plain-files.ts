import childProcess, { type ChildProcess, type SpawnOptions } from 'node:child_process'
import { syncBuiltinESMExports } from 'node:module'

/*
 * Loaded into tap's runner before tap. Its loaders for TypeScript, mocks and coverage are not used here, and take two
 * thirds of the CPU time in which a file with an app is loaded. tap has no setting for it but a list of plugins, by
 * which it rebuilds itself within node_modules: so its files are started without them.
 */

const { spawn } = childProcess
const isLoader = (argument: string) => argument.startsWith('--import=') && argument.includes('/@tapjs/')
const given = process.env['CI']

childProcess.spawn = ((command: string, args: readonly string[], options: SpawnOptions): ChildProcess => {
  const { NODE_OPTIONS: nodeOptions = '', CI: _, ...env } = options.env ?? process.env
  const left = nodeOptions.split(' ').filter(argument => !isLoader(argument.replaceAll('"', ''))).join(' ')
  return spawn(command, args.filter(argument => !isLoader(argument)), {
    ...options, env: { ...env, ...(left !== '' && { NODE_OPTIONS: left }), ...(given !== undefined && { CI: given }) }
  })
}) as typeof spawn
syncBuiltinESMExports()

// Only so does the reporter for people write a line a file, rather than what a terminal would draw over.
if (process.stdout.isTTY !== true) process.env['CI'] ??= '1'
