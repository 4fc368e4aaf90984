import { setTimeout as sleep } from 'node:timers/promises'
import { startCuttingProxy } from '../../../test/support/cutting-proxy.ts'
import { answerCalls } from '../../children.ts'
import type { ResumingDriver } from '../drivers/resuming.ts'
import { resumeJetStream } from '../drivers/resuming-jetstream.ts'
import { resumeMqtt } from '../drivers/resuming-mqtt.ts'
import { resumePlatform } from '../drivers/resuming-platform.ts'
import { resumeSocketIo } from '../drivers/resuming-socket-io.ts'
import { ReceiptLedger } from '../ledger.ts'
import type { Losses } from '../results.ts'

/* Cuts a consumer's connection again and again while events are published, and counts what it receives. */

export type ResumingTarget =
  | { kind: 'platform', url: string, token: string, topic: string }
  | { kind: 'socket.io' | 'mqtt' | 'jetstream', url: string }

export interface Course { events: number, perSecond: number, cuts: number }

const atOnce = 10
/** New connections are refused for this time after a cut. */
const outageMs = 30
/** After the last event, the consumer is given this time without a receipt. */
const quietMs = 5000

async function run (target: ResumingTarget, { events, perSecond, cuts }: Course): Promise<Losses> {
  const teardowns: (() => Promise<void> | void)[] = []
  const driver = await open(target)
  try {
    const server = new URL(target.url)
    const proxy = await startCuttingProxy({ teardown: work => { teardowns.push(work) } }, `http://${server.host}`)
    const ledger = new ReceiptLedger(events)
    await driver.consume(proxy.url, ledger)
    const everyEvents = events / cuts
    const begin = performance.now()
    for (let first = 1; first <= events; first += atOnce) {
      const waitMs = begin + first / perSecond * 1000 - performance.now()
      if (waitMs > 0) await sleep(waitMs)
      const published = driver.publish(Array.from({ length: atOnce }, (_, i) => first + i))
      // In the middle of each stretch, while the events are on their way.
      if ((first + everyEvents / 2) % everyEvents <= atOnce) void cut(proxy)
      await published
    }
    let last = performance.now()
    for (let seen = -1; performance.now() - last < quietMs;) {
      const { distinct, doubled } = { distinct: ledger.distinct, doubled: ledger.losses().doubled }
      if (distinct + doubled !== seen) last = performance.now()
      seen = distinct + doubled
      await sleep(50)
    }
    return ledger.losses()
  } finally {
    await driver.close()
    for (const work of teardowns) await work()
  }
}

async function cut (proxy: { isRefusing: boolean, cut (): void }): Promise<void> {
  // Leaves some events of the batch behind and some ahead of the cut.
  await sleep(1)
  proxy.isRefusing = true
  proxy.cut()
  await sleep(outageMs)
  proxy.isRefusing = false
}

async function open (target: ResumingTarget): Promise<ResumingDriver> {
  switch (target.kind) {
    case 'platform': return await resumePlatform(target.url, target.token, target.topic)
    case 'socket.io': return await resumeSocketIo(target.url)
    case 'mqtt': return await resumeMqtt(target.url)
    case 'jetstream': return await resumeJetStream(target.url)
  }
}

const methods = { run }
export type ResumingLoad = typeof methods
answerCalls(methods)
