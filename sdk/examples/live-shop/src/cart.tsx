import { useDocument } from '@realtime-platform/client/react'
import { useState } from 'react'
import { placeOrder } from './orders.tsx'
import type { Cart } from './realtime.ts'

const products = ['Lamp', 'Chair', 'Rug', 'Vase']

/** A cart that everybody edits. Changes show at once, and are rolled back if the server refuses them. */
export function SharedCart () {
  const { data: cart, status, pending, document } = useDocument<Cart>('cart', 'shared')
  const [error, setError] = useState<string>()
  const attempt = (write: Promise<unknown>) => {
    setError(undefined)
    write.catch((error: Error) => setError(error.message))
  }

  async function order () {
    const items = Object.entries(cart?.items ?? {}).filter(([, quantity]) => quantity > 0)
    for (const [item, quantity] of items) await placeOrder(item, quantity)
    await document.merge({ items: Object.fromEntries(items.map(([item]) => [item, 0])), note: '' })
  }

  const total = Object.values(cart?.items ?? {}).reduce((sum, quantity) => sum + quantity, 0)
  return (
    <section aria-labelledby='cart'>
      <h2 id='cart'>Shared cart <small>{pending > 0 ? 'saving…' : status === 'live' ? 'saved' : status}</small></h2>
      <ul className='cart'>
        {products.map(product => {
          const quantity = cart?.items[product] ?? 0
          const change = (value: number) =>
            attempt(document.mutate([{ op: 'increment', path: `/items/${product}`, value }]))
          return (
            <li key={product}>
              <span>{product}</span>
              <button disabled={quantity === 0} onClick={() => change(-1)} aria-label={`One ${product} less`}>−</button>
              <output aria-label={`${product} in the cart`}>{quantity}</output>
              <button disabled={!cart} onClick={() => change(1)} aria-label={`One ${product} more`}>+</button>
            </li>
          )
        })}
      </ul>
      <input
        aria-label='Note' placeholder='A note for the order' disabled={!cart} value={cart?.note ?? ''}
        onChange={({ target }) => attempt(document.merge({ note: target.value }))}
      />
      <button className='primary' disabled={total === 0} onClick={() => attempt(order())}>Place order</button>
      {error !== undefined && <p className='error' role='alert'>{error}</p>}
    </section>
  )
}
