import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const isSource = import.meta.filename.endsWith('.ts')
const root = join(import.meta.dirname, isSource ? '..' : '../..')
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: { start: string } }

/** The heap arguments of `npm start`, for everything else that runs the server or is compared with it. */
export const heapArguments = scripts.start.split(' ').filter(argument => argument.startsWith('--max-'))
