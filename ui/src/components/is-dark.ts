import { useSyncExternalStore } from 'react'

const isDark = (): boolean => document.documentElement.dataset['theme'] === 'dark'

function follow (listener: () => void): () => void {
  const observer = new MutationObserver(listener)
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] })
  return () => observer.disconnect()
}

/** Returns whether the page is dark now, also where the theme is that of the system. For what is drawn on a canvas. */
export const useIsDark = (): boolean => useSyncExternalStore(follow, isDark)
