import type { Socket } from 'node:net'

/* What NATS and MQTT send over TCP, as far as one topic without acknowledgements requires. */

export type BrokerKind = 'nats' | 'mqtt'

export interface Wire {
  /** Connects, and subscribes if wanted. Resolves when the broker has confirmed both. */
  begin (socket: Socket, name: string, isSubscriber: boolean): Promise<void>
  publication (body: Buffer): Buffer
  /** The bytes that a subscriber receives for a message with this body. */
  deliveryBytes (body: Buffer): number
}

const topic = 'bench'

/** Resolves when the bytes that arrived satisfy the condition. */
function answered (socket: Socket, isComplete: (bytes: Buffer) => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0)
    const take = (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk])
      if (!isComplete(bytes)) return
      socket.off('data', take).off('error', reject)
      resolve()
    }
    socket.on('data', take).on('error', reject)
  })
}

const nats: Wire = {
  async begin (socket, name, isSubscriber) {
    const ready = answered(socket, bytes => bytes.includes('PONG\r\n'))
    const options = JSON.stringify({ verbose: false, pedantic: false, name, lang: 'bench', version: '1', protocol: 1 })
    socket.write(`CONNECT ${options}\r\n${isSubscriber ? `SUB ${topic} 1\r\n` : ''}PING\r\n`)
    await ready
  },
  publication: body => Buffer.concat([Buffer.from(`PUB ${topic} ${body.length}\r\n`), body, Buffer.from('\r\n')]),
  deliveryBytes: body => `MSG ${topic} 1 ${body.length}\r\n`.length + body.length + 2
}

/** MQTT 3.1.1, QoS 0. */
const mqtt: Wire = {
  async begin (socket, name, isSubscriber) {
    const acknowledgementBytes = isSubscriber ? 4 + 5 : 4
    const ready = answered(socket, bytes => bytes.length >= acknowledgementBytes)
    // A clean session without keep-alive.
    socket.write(packet(0x10, Buffer.concat([text('MQTT'), Buffer.from([4, 2, 0, 0]), text(name)])))
    if (isSubscriber) socket.write(packet(0x82, Buffer.concat([Buffer.from([0, 1]), text(topic), Buffer.from([0])])))
    await ready
  },
  publication: body => packet(0x30, Buffer.concat([text(topic), body])),
  deliveryBytes: body => packet(0x30, Buffer.concat([text(topic), body])).length
}

function packet (type: number, body: Buffer): Buffer {
  const length: number[] = []
  for (let left = body.length, isFirst = true; isFirst || left > 0; isFirst = false) {
    length.push(left % 128 + (left >= 128 ? 128 : 0))
    left = Math.floor(left / 128)
  }
  return Buffer.concat([Buffer.from([type, ...length]), body])
}

function text (value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes])
}

export const brokers: Record<BrokerKind, Wire> = { nats, mqtt }
