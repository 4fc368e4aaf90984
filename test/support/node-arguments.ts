import { read } from './repository.ts'

const { scripts } = JSON.parse(read('package.json')) as { scripts: { start: string } }

/** The heap arguments of `npm start`, for everything else that runs the server or is compared with it. */
export const heapArguments = scripts.start.split(' ').filter(argument => argument.startsWith('--max-'))
