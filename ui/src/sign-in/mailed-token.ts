import { useEffect, useState } from 'react'
import { useObserved } from '../app/observed.ts'
import { fragment } from './fragment.ts'

/** Returns the token of a mailed link. It stays in the memory of the page only, so a reload forgets it. */
export function useMailedToken (): string | null {
  const arrived = useObserved(fragment)
  const [token, setToken] = useState<string | null>(fragment.value?.get('token') ?? null)
  useEffect(() => {
    if (arrived === null) return
    setToken(arrived.get('token'))
    fragment.set(null)
  }, [arrived])
  return token
}
