import { localStorageStore, RealtimeClient } from '@realtime-platform/client'
import { createHooks } from '@realtime-platform/client/react'

/** The topics of the shop. `npx realtime-platform generate` writes this from the schemas of the platform. */
export interface Topics {
  'order.placed': { item: string, quantity: number, by: string }
}

export interface Cart { items: Record<string, number>, note: string }

export interface Person { name: string }

/** The signed-in user of a real application. Here, each tab is somebody else; `?name=` names them. */
export const me = new URLSearchParams(location.search).get('name') ?? `Guest ${Math.floor(Math.random() * 1000)}`

export const client = new RealtimeClient<Topics>({
  url: location.origin,
  // Called again before the token expires. The backend decides what the user may do.
  token: async () => {
    const response = await fetch(`/token?user=${encodeURIComponent(me)}`)
    if (!response.ok) throw new Error(await response.text())
    return response.text()
  },
  // The provider connects.
  autoConnect: false
})

export const { useTopic, useEvents } = createHooks<Topics>()

/** Where this browser has read the orders to. */
export const positions = localStorageStore({ prefix: `live-shop:${me}:` })
