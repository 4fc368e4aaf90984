import { connectAsync, type MqttClient } from 'mqtt'
import { reconnectMs, withScheme, type ResumingDriver } from './resuming.ts'

const topic = 'bench'

/** A persistent session with QoS 1 at both ends. */
export async function resumeMqtt (url: string): Promise<ResumingDriver> {
  const publisher = await connectAsync(url)
  let consumer: MqttClient | undefined
  return {
    async consume (proxyUrl, ledger) {
      consumer = await connectAsync(withScheme('mqtt', proxyUrl), {
        clientId: `bench-${process.pid}`, clean: false, reconnectPeriod: reconnectMs, resubscribe: false
      })
      consumer.on('error', () => {})
      consumer.on('message', (_, body) => ledger.receive(Number(body.toString())))
      await consumer.subscribeAsync(topic, { qos: 1 })
    },
    async publish (numbers) {
      await Promise.all(numbers.map(n => publisher.publishAsync(topic, String(n), { qos: 1 })))
    },
    async close () {
      await consumer?.unsubscribeAsync(topic)
      await consumer?.endAsync(true)
      await publisher.endAsync(true)
    }
  }
}
