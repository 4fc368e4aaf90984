import type { LinkProps } from '@tanstack/react-router'
import { scopePath, useScope } from './scope.ts'

interface LinkMore {
  params?: Record<string, string>
  search?: Record<string, unknown>
}

export type ScopedLink = (path: string, more?: LinkMore) => LinkProps

/**
 * Returns a function that links to a page of the application and environment by its path:
 * `link('/topics/$name', { params: { name } })`.
 */
export function useScopedLink (): ScopedLink {
  const scope = useScope()
  return (path, { params, search = {} } = {}) =>
    ({ to: `${scopePath}${path}`, params: { ...scope, ...params }, search }) as LinkProps
}
