import { useState } from 'react'
import { client, me, positions, useEvents, useTopic } from './realtime.ts'

const loadedAt = Date.now()
const time = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' })

/** Lists the latest orders, and those placed since the last visit. */
export function Orders () {
  // The list: the latest 20 orders, then live.
  const { events, isReady, error } = useEvents('order.placed', { rewind: 20, limit: 20 })
  const [missed, setMissed] = useState(0)
  // The position of this handler is stored: after a reload it continues where it was, without a gap.
  useTopic('order.placed', ({ timestamp }) => {
    if (timestamp < loadedAt) setMissed(count => count + 1)
  }, { store: positions, storeKey: 'orders' })

  return (
    <section aria-labelledby='orders'>
      <h2 id='orders'>Orders</h2>
      {missed > 0 && <p className='hint'>{missed} since your last visit</p>}
      {error !== undefined && <p className='error' role='alert'>{error.message}</p>}
      {events.length === 0 && <p className='hint'>{isReady ? 'No orders yet. Place one.' : 'Loading…'}</p>}
      <ol className='orders'>
        {[...events].reverse().map(({ id, offset, timestamp, payload }) => (
          <li key={id} className={timestamp > loadedAt ? 'new' : undefined}>
            <span className='offset'>#{offset}</span>
            <span><b>{payload.quantity} × {payload.item}</b> for {payload.by === me ? 'you' : payload.by}</span>
            <time>{time.format(timestamp)}</time>
          </li>
        ))}
      </ol>
    </section>
  )
}

/** Publishes an order. Resolves after its commit, and retries without a second effect. */
export const placeOrder = (item: string, quantity: number) =>
  client.topic('order.placed').publish({ item, quantity, by: me }, { key: item })
