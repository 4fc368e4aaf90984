import { AckPolicy, connect, nanos, type NatsConnection } from 'nats'
import { reconnectMs, withScheme, type ResumingDriver } from './resuming.ts'

const stream = 'bench-resume'
const subject = 'bench.resume'
const durable = 'consumer'
/** A message without an acknowledgement is delivered again after this time. */
export const ackWaitMs = 2000

/** A durable consumer with explicit acknowledgements. */
export async function resumeJetStream (url: string): Promise<ResumingDriver> {
  const publisher = await connect({ servers: url })
  const manager = await publisher.jetstreamManager()
  await manager.streams.add({ name: stream, subjects: [subject] })
  await manager.consumers.add(stream, {
    durable_name: durable, ack_policy: AckPolicy.Explicit, ack_wait: nanos(ackWaitMs)
  })
  const jetStream = publisher.jetstream({ timeout: 30_000 })
  let connection: NatsConnection | undefined
  return {
    async consume (proxyUrl, ledger) {
      connection = await connect({
        servers: withScheme('nats', proxyUrl), reconnectTimeWait: reconnectMs, reconnectJitter: 0,
        maxReconnectAttempts: -1, ignoreClusterUpdates: true
      })
      const consumer = await connection.jetstream().consumers.get(stream, durable)
      const messages = await consumer.consume({ expires: 1000, idle_heartbeat: 500 })
      void (async () => {
        for await (const message of messages) {
          ledger.receive(Number(message.string()))
          message.ack()
        }
      })()
    },
    async publish (numbers) {
      await Promise.all(numbers.map(n => jetStream.publish(subject, String(n))))
    },
    async close () {
      await connection?.close()
      await manager.streams.delete(stream)
      await publisher.close()
    }
  }
}
