import { Redis } from 'ioredis'
import { payload, type PublishDriver } from './driver.ts'

const stream = 'bench:publish'

/** Appends to a Redis stream. All commands in flight share one connection. */
export async function openRedis (url: string): Promise<PublishDriver> {
  const client = new Redis(url)
  const text = JSON.stringify(payload)
  await client.ping()
  return {
    async publish (count) {
      if (count === 1) {
        await client.xadd(stream, '*', 'payload', text)
        return
      }
      const pipeline = client.pipeline()
      for (let i = 0; i < count; i++) pipeline.xadd(stream, '*', 'payload', text)
      const answers = await pipeline.exec()
      const failed = answers?.find(([error]) => error !== null)?.[0]
      if (answers === null || failed instanceof Error) throw failed ?? new Error('the pipeline was refused')
    },
    async clear () {
      const stored = await client.xlen(stream)
      await client.del(stream)
      return stored
    },
    async close () { await client.quit() }
  }
}
