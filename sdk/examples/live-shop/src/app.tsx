import { useConnectionState, usePresence } from '@realtime-platform/client/react'
import { SharedCart } from './cart.tsx'
import { Orders } from './orders.tsx'
import { me, type Person } from './realtime.ts'

export function App () {
  return (
    <>
      <header>
        <h1>Live shop</h1>
        <People />
        <Connection />
      </header>
      <main>
        <SharedCart />
        <Orders />
      </main>
    </>
  )
}

function Connection () {
  const state = useConnectionState()
  return <span className={`connection ${state}`} role='status'>{state}</span>
}

/** Shows who has the page open. */
function People () {
  const people = usePresence<Person>('shop', { name: me })
  return (
    <ul className='people' aria-label='Who is here'>
      {people.map(({ socketId, state }) => {
        const name = state?.name ?? 'Somebody'
        return <li key={socketId} title={name} style={{ '--hue': hueOf(name) }}>{initialsOf(name)}</li>
      })}
      <li className='count'>{people.length} here</li>
    </ul>
  )
}

const initialsOf = (name: string) => name.split(/\s+/).map(word => [...word][0]).slice(0, 2).join('').toUpperCase()

const hueOf = (name: string) => [...name].reduce((sum, char) => (sum * 31 + (char.codePointAt(0) ?? 0)) % 360, 7)

declare module 'react' {
  interface CSSProperties { '--hue'?: number }
}
