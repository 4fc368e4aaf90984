import type { Socket } from 'socket.io-client'
import { read } from './repository.ts'

/** Returns the code of the section "Resuming" of docs/PROTOCOL.md as printed. */
const printed = /^## Resuming$[\s\S]*?^```js$\n([\s\S]*?)^```$/m.exec(read('docs/PROTOCOL.md'))?.[1]

interface Printed { offset: number, payload: unknown }

/** Runs the printed code. Returns the handled offsets in order, and counts the reloads. */
export function follow (socket: Socket): { offsets: number[], reloads: number } {
  if (printed === undefined) throw new Error('docs/PROTOCOL.md has no code under "Resuming"')
  const seen = { offsets: [] as number[], reloads: 0 }
  const handle = (event: Printed) => { seen.offsets.push(event.offset) }
  const reload = () => { seen.reloads++ }
  // eslint-disable-next-line no-new-func -- the code comes from the document that is tested
  new Function('socket', 'handle', 'reload', printed)(socket, handle, reload)
  return seen
}
