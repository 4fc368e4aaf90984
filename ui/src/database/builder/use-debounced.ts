import { useEffect, useState } from 'react'

/** Returns the latest text that stayed unchanged for `delayMs`. */
export function useDebounced (text: string, delayMs = 300): string {
  const [settled, setSettled] = useState(text)
  useEffect(() => {
    if (text === settled) return
    const timer = setTimeout(() => setSettled(text), delayMs)
    return () => clearTimeout(timer)
  }, [text, settled, delayMs])
  return settled
}
