import { Observed } from './observed.ts'

/** A session token, kept for the tab, or with "stay signed in" for the browser. Nothing else is stored with it. */
const key = 'realtime.session'

export const session = new Observed<string | null>(sessionStorage.getItem(key) ?? localStorage.getItem(key))

export function openSession (token: string, { isKept }: { isKept: boolean }): void {
  sessionStorage.removeItem(key)
  localStorage.removeItem(key)
  const storage = isKept ? localStorage : sessionStorage
  storage.setItem(key, token)
  session.set(token)
}

export function closeSession (): void {
  sessionStorage.removeItem(key)
  localStorage.removeItem(key)
  session.set(null)
}

// Signing out in one tab signs out the others that share the session.
addEventListener('storage', event => {
  if (event.key !== key && event.key !== null) return
  const own = sessionStorage.getItem(key)
  if (own === null) session.set(localStorage.getItem(key))
})
