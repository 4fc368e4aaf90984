import { useState } from 'react'
import { recall, remember } from '../../app/preferences.ts'
import { usePageScope } from '../../app/scope.ts'
import { isFilter, type EventFilter } from './filter.ts'

/** A named filter with columns. */
export interface View {
  name: string
  filter?: EventFilter | undefined
  key?: string | undefined
  columns?: string[] | undefined
}

function toView (value: unknown): View[] {
  if (typeof value !== 'object' || value === null || !('name' in value) || typeof value.name !== 'string') return []
  const { name } = value
  return [
    {
      name,
      filter: 'filter' in value && isFilter(value.filter) ? value.filter : undefined,
      key: 'key' in value && typeof value.key === 'string' ? value.key : undefined,
      columns: 'columns' in value ? toColumns(value.columns) : undefined
    }
  ]
}

const toColumns = (value: unknown): string[] | undefined =>
  Array.isArray(value) ? value.filter(item => typeof item === 'string') : undefined

/** The saved views of a topic, kept in this browser. */
export function useViews (topic: string) {
  const { applicationId } = usePageScope()
  const name = `views.${applicationId}.${topic}`
  const [views, setViews] = useState(() => {
    const stored = recall(name)
    return Array.isArray(stored) ? stored.flatMap(toView) : []
  })
  const store = (next: View[]) => {
    setViews(next)
    remember(name, next)
  }
  return {
    views,
    /** Saves a view; one with the same name is replaced. */
    save: (view: View) => store([...views.filter(({ name }) => name !== view.name), view]),
    rename: (from: string, to: string) =>
      store(
        views
          .filter(({ name }) => name !== to || name === from)
          .map(view => (view.name === from ? { ...view, name: to } : view))
      ),
    remove: (removed: string) => store(views.filter(({ name }) => name !== removed))
  }
}

/** The columns that were shown last for a topic, and how to remember others. */
export function useRememberedColumns (topic: string) {
  const { applicationId } = usePageScope()
  const name = `events.${applicationId}.${topic}`
  return {
    remembered: toColumns(recall(name)),
    rememberColumns: (columns: readonly string[]) => remember(name, columns)
  }
}
