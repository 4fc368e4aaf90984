import { connect } from 'amqplib'
import { payload, type PublishDriver } from './driver.ts'

const queue = 'bench.publish'

/** Publishes to a quorum queue with publisher confirms. All messages in flight share one channel. */
export async function openRabbitMq (url: string): Promise<PublishDriver> {
  const connection = await connect(url)
  const channel = await connection.createConfirmChannel()
  await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } })
  const body = Buffer.from(JSON.stringify(payload))
  const send = () => new Promise<void>((resolve, reject) => {
    channel.sendToQueue(queue, body, { persistent: true }, (error: Error | null) => {
      if (error === null) resolve()
      else reject(error)
    })
  })
  return {
    async publish (count) { await Promise.all(Array.from({ length: count }, send)) },
    async clear () { return (await channel.purgeQueue(queue)).messageCount },
    async close () { await connection.close() }
  }
}
