import childProcess, { type ChildProcess, type SpawnOptions } from 'node:child_process'
import { syncBuiltinESMExports } from 'node:module'

/*
 * Loaded into tap's runner before tap. Tap's loaders for TypeScript, mocks and coverage are not used here, and take two
 * thirds of the CPU time of loading a file with an app. The only setting for it is a list of plugins, by which tap
 * rebuilds itself within node_modules, so this starts its files without the loaders.
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

// Makes the human-readable reporter write one line per file, instead of redrawing a terminal.
if (process.stdout.isTTY !== true) process.env['CI'] ??= '1'
