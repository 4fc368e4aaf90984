import { connect } from 'nats'
import { payload, type PublishDriver } from './driver.ts'

const stream = 'bench'
const subject = 'bench.publish'

/** Publishes to a file-backed JetStream stream. All messages in flight share one connection. */
export async function openNats (url: string): Promise<PublishDriver> {
  const connection = await connect({ servers: url })
  const manager = await connection.jetstreamManager()
  await manager.streams.add({ name: stream, subjects: [subject] })
  const jetStream = connection.jetstream({ timeout: 30_000 })
  const body = Buffer.from(JSON.stringify(payload))
  return {
    async publish (count) {
      await Promise.all(Array.from({ length: count }, () => jetStream.publish(subject, body)))
    },
    async clear () {
      const { state: { messages } } = await manager.streams.info(stream)
      await manager.streams.purge(stream)
      return messages
    },
    async close () { await connection.close() }
  }
}
