import { DurableStreamTestServer } from '@durable-streams/server'
import { answerCalls } from '../../children.ts'
import { cpuSeconds } from '../../servers/usage.ts'
import { dataFolder, removeFolder } from '../program.ts'

/* The reference server of the durable-streams protocol, with its data in files. */

// It reports each append that took longer than usual.
console.info = () => {}

let server: DurableStreamTestServer
let folder: string

async function start (): Promise<{ url: string }> {
  folder = await dataFolder()
  server = new DurableStreamTestServer({ port: 0, host: '127.0.0.1', dataDir: folder })
  return { url: await server.start() }
}

const methods = { start, cpuSeconds }
export type DurableStreamsServer = typeof methods
answerCalls(methods, async () => {
  await server.stop()
  await removeFolder(folder)
})
