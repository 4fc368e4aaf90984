import { useScopedLink } from '../app/scoped-link.ts'
import type { Tab } from '../components/page.tsx'

export function useAlertTabs (): Tab[] {
  const link = useScopedLink()
  return [
    { label: 'Alerts', link: link('/alerts') },
    { label: 'Rules', link: link('/alerts/rules') }
  ]
}
