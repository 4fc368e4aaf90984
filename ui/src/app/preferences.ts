import { Observed } from './observed.ts'

/* The choices of a person in this browser. They are stored under names that begin with `realtime.` */

export type Theme = 'light' | 'dark' | 'system'
export type TimeMode = 'relative' | 'local' | 'utc' | 'epoch'
export type Density = 'compact' | 'comfortable'

function stored<Value extends string> (name: string, values: readonly Value[], fallback: Value): Observed<Value> {
  const found = values.find(value => value === localStorage.getItem(`realtime.${name}`))
  const observed = new Observed(found ?? fallback)
  observed.subscribe(() => localStorage.setItem(`realtime.${name}`, observed.value))
  return observed
}

export const themes = ['system', 'light', 'dark'] as const
export const timeModes = ['relative', 'local', 'utc', 'epoch'] as const
export const theme = stored<Theme>('theme', themes, 'system')
export const timeMode = stored<TimeMode>('times', timeModes, 'relative')
export const density = stored<Density>('density', ['compact', 'comfortable'], 'compact')
export const rail = stored<'open' | 'collapsed'>('rail', ['open', 'collapsed'], 'open')

/** Sets the theme of the page and follows changes of it, here and in the system. */
export function applyTheme (): void {
  const dark = matchMedia('(prefers-color-scheme: dark)')
  const apply = () => {
    const isDark = theme.value === 'dark' || (theme.value === 'system' && dark.matches)
    document.documentElement.dataset['theme'] = isDark ? 'dark' : 'light'
  }
  apply()
  dark.addEventListener('change', apply)
  theme.subscribe(apply)
}

/** Reads a JSON value that `remember` has stored, such as the columns of a list; undefined if there is none. */
export function recall (name: string): unknown {
  try {
    return JSON.parse(localStorage.getItem(`realtime.${name}`) ?? 'null') ?? undefined
  } catch {
    return undefined
  }
}

export function remember (name: string, value: unknown): void {
  localStorage.setItem(`realtime.${name}`, JSON.stringify(value))
}
