import { answerCalls } from '../../children.ts'
import { cpuSeconds } from '../../servers/usage.ts'
import type { PublishDriver } from '../drivers/driver.ts'
import { openDurableStreams } from '../drivers/durable-streams.ts'
import { openNats } from '../drivers/nats.ts'
import { openAppend, openRest, type PlatformAddress } from '../drivers/platform.ts'
import { openRabbitMq } from '../drivers/rabbitmq.ts'
import { openRedis } from '../drivers/redis.ts'

/* A load generator that keeps a number of publishes in flight, for any of the servers. */

export type Target =
  | { kind: 'redis' | 'rabbitmq' | 'nats' | 'durable-streams', url: string }
  | PlatformAddress & { kind: 'rest' | 'rest-minimal' | 'append' }

let driver: PublishDriver

async function aim (target: Target): Promise<void> {
  driver = await open(target)
}

async function open (target: Target): Promise<PublishDriver> {
  switch (target.kind) {
    case 'redis': return await openRedis(target.url)
    case 'rabbitmq': return await openRabbitMq(target.url)
    case 'nats': return await openNats(target.url)
    case 'durable-streams': return await openDurableStreams(target.url)
    case 'rest': return await openRest(target)
    case 'rest-minimal': return await openRest(target, { prefer: 'return=minimal' })
    case 'append': return await openAppend(target)
  }
}

/** Publishes until the time is over. The next publish begins when one is acknowledged. */
async function round (
  seconds: number, inFlight: number, batch: number
): Promise<{ count: number, seconds: number }> {
  const begin = performance.now()
  const end = begin + seconds * 1000
  let count = 0
  await Promise.all(Array.from({ length: inFlight }, async () => {
    while (performance.now() < end) {
      await driver.publish(batch)
      count += batch
    }
  }))
  return { count, seconds: (performance.now() - begin) / 1000 }
}

const methods = { aim, round, clear: () => driver.clear(), cpuSeconds }
export type PublishingLoad = typeof methods
answerCalls(methods, () => driver.close())
