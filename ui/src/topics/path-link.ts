import type { LinkProps } from '@tanstack/react-router'
import type { Scope } from '../app/api.ts'
import { scopePath } from '../app/scope.ts'

/** A link to a page of another section by its path: `pathLink(scope, '/schemas/$topic', { topic })`. */
export const pathLink = (
  scope: Scope,
  path: `/${string}`,
  params: Record<string, string> = {},
  search: Record<string, unknown> = {}
): LinkProps => ({ to: scopePath + path, params: { ...scope, ...params }, search }) as LinkProps
