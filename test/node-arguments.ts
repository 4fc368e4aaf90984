import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const isSource = import.meta.filename.endsWith('.ts')
const root = join(import.meta.dirname, isSource ? '..' : '../..')
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: { start: string } }

/** How `npm start` sizes Node's heap: whatever else runs the server, or is compared with it, does the same. */
export const heapArguments = scripts.start.split(' ').filter(argument => argument.startsWith('--max-'))
