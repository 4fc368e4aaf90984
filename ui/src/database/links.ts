import type { LinkProps } from '@tanstack/react-router'
import { scopePath } from '../app/scope.ts'

/** A link within the scope of the page. Pages of other sections have fixed paths. */
export const scopeLink = (
  path: string,
  params: Record<string, string> = {},
  search: Record<string, unknown> = {}
): LinkProps => ({ to: `${scopePath}${path}`, from: scopePath, params, search }) as LinkProps

export const mappingLink = (id: string): LinkProps => scopeLink('/database/mappings/$id', { id })
export const topicLink = (name: string): LinkProps => scopeLink('/topics/$name', { name })
export const eventLink = (name: string, offset: number): LinkProps =>
  scopeLink('/topics/$name', { name }, { event: offset })
