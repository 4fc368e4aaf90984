import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { answerCalls } from '../../children.ts'
import { brokers, type BrokerKind } from '../drivers/wire.ts'

/*
 * A publisher and many subscribers of a broker, as cheap as possible: they count bytes, because all messages have the
 * same length. Each message has the platform's envelope, so that all servers send the same event.
 */

export interface Audience { kind: BrokerKind, url: string, clients: number }

const connectingAtOnce = 50
const timeoutMs = 60_000
const event = Buffer.from(JSON.stringify({
  id: 'evt_0123456789abcdef',
  topic: 'bench.fanout',
  offset: 1000,
  epoch: '0123456789ab',
  type: 'topic.event',
  source: 'api',
  applicationId: 'app_0123456789abcdef',
  environment: 'development',
  timestamp: 1_796_000_000_000,
  schemaVersion: null,
  key: null,
  payload: {
    sessionId: 'sess_0123456789abcdef', status: 'active', participants: 4,
    title: 'The quick brown fox jumps over the lazy dog', tags: ['a', 'b', 'c'],
    owner: { id: 'usr_0123456789abcdef', name: 'Somebody' }, group: 0
  },
  subscriptionIds: ['sub_0123456789abcdef']
}))

let sockets: Socket[] = []
let publisher: Socket
let publication: Buffer
let frameBytes: number
let bytes = 0
let expected = Infinity
let onAll: () => void = () => {}

async function gather ({ kind, url, clients }: Audience): Promise<void> {
  const broker = brokers[kind]
  publication = broker.publication(event)
  frameBytes = broker.deliveryBytes(event)
  const { hostname, port } = new URL(url)
  const open = async (name: string, isSubscriber: boolean) => {
    const socket = connect(Number(port), hostname)
    socket.setNoDelay(true)
    await broker.begin(socket, name, isSubscriber)
    return socket
  }
  for (let i = 0; i < clients; i += connectingAtOnce) {
    sockets.push(...await Promise.all(
      Array.from({ length: Math.min(connectingAtOnce, clients - i) }, (_, j) => open(`client${i + j}`, true))
    ))
  }
  for (const socket of sockets) {
    socket.on('data', chunk => {
      bytes += chunk.length
      if (bytes >= expected) onAll()
    })
  }
  publisher = await open('publisher', false)
}

/** Publishes bursts. The next one follows when the last has reached every client. */
async function round (bursts: number, burst: number): Promise<{ count: number, seconds: number }> {
  const begin = performance.now()
  const run = Buffer.concat(Array.from({ length: burst }, () => publication))
  bytes = 0
  for (let i = 1; i <= bursts; i++) {
    const reached = arrival(i * burst * sockets.length * frameBytes)
    publisher.write(run)
    await reached
  }
  const wanted = bursts * burst * sockets.length
  if (bytes !== wanted * frameBytes) throw new Error(`lost or doubled: ${bytes / frameBytes} of ${wanted} deliveries`)
  return { count: wanted, seconds: (performance.now() - begin) / 1000 }
}

function arrival (total: number): Promise<void> {
  expected = total
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`lost: ${bytes} of ${total} bytes arrived`)), timeoutMs)
    onAll = () => { clearTimeout(timer); resolve() }
  })
}

async function disperse (): Promise<void> {
  const all = [...sockets, publisher]
  sockets = []
  await Promise.all(all.map(async socket => { socket.destroy(); await once(socket, 'close') }))
}

const methods = { gather, round }
export type AudienceLoad = typeof methods
answerCalls(methods, disperse)
